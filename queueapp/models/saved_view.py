"""A search that somebody keeps under a name: its text, its order, and by what it is grouped."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def seen_by(self, owner: str) -> Self:
        """Their own and the shared ones, by name."""
        return self.filter(Q(owner=owner) | Q(is_shared=True)).order_by("name", "id")


class SavedView(models.Model):
    owner = models.CharField(max_length=150, help_text="Whose it is, such as `user:ann`.")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2000, blank=True)
    order = models.CharField(max_length=20, blank=True)
    group = models.CharField(max_length=20, blank=True)
    is_shared = models.BooleanField(default=False, help_text="Everybody sees it.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        constraints = [
            # A name stands for one view; also serves the list of the owner's.
            models.UniqueConstraint(fields=["owner", "name"], name="saved_view_once"),
        ]
        indexes = [
            # The views that everybody sees.
            models.Index(fields=["name"], name="saved_view_shared", condition=Q(is_shared=True)),
        ]

    def __str__(self) -> str:
        return self.name
