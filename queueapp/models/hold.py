"""Rules that hold mail which comes in, until a person looks at it."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q


class HoldRuleQuerySet(models.QuerySet["HoldRule"]):
    def in_force(self, now: datetime) -> Self:
        return self.filter(Q(until__isnull=True) | Q(until__gt=now))


class HoldRule(models.Model):
    class Kind(models.TextChoices):
        SENDER = "sender"
        SENDER_DOMAIN = "sender_domain"
        RECIPIENT_DOMAIN = "recipient_domain"
        TAG = "tag"
        LOGIN = "login"

    kind = models.CharField(max_length=16, choices=Kind.choices)
    value = models.CharField(max_length=512)
    reason = models.CharField(max_length=200)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True, help_text="Empty: until it is removed.")
    made_by = models.CharField(max_length=150)

    objects = HoldRuleQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "value"], name="hold_rule_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"
