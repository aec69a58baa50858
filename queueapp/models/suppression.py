"""An address that must not be written to, with the reason and the evidence."""

from __future__ import annotations

from django.db import models


class Suppression(models.Model):
    address = models.CharField(max_length=512, unique=True, help_text="Lower case.")
    reply_class = models.CharField(max_length=16)
    reason = models.CharField(max_length=255)
    evidence = models.CharField(max_length=1000, blank=True, help_text="The reply that said so.")
    delivery_id = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.address
