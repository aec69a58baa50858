"""What a recipient domain says of the TLS of its MX hosts (MTA-STS, RFC 8461), as we fetched it last.

A row is there for each domain that publishes the record; without a mode no policy could be fetched yet.
"""

from __future__ import annotations

from typing import Self

from django.db import models
from django.utils import timezone


class MtaStsPolicyQuerySet(models.QuerySet["MtaStsPolicy"]):
    def in_force(self) -> Self:
        return self.filter(expires_at__gt=timezone.now()).exclude(mode__in=("", "none"))


class MtaStsPolicy(models.Model):
    domain = models.CharField(max_length=255, unique=True, help_text="Lower case, A-labels.")
    policy_id = models.CharField(max_length=32, blank=True)
    mode = models.CharField(max_length=8, blank=True, help_text="enforce, testing, none; empty: not fetched.")
    mx = models.JSONField(default=list, help_text="Patterns of host names.")
    max_age = models.PositiveIntegerField(default=0, help_text="Seconds.")
    fetched_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    check_at = models.DateTimeField(help_text="When to ask for a newer one.")
    failure = models.CharField(max_length=255, blank=True, help_text="Why it could not be fetched last.")
    n_violations = models.PositiveIntegerField(default=0, help_text="Sessions that did not meet it.")
    violated_at = models.DateTimeField(null=True, blank=True)
    violation = models.CharField(max_length=255, blank=True, help_text="The last one, with its host.")

    objects = MtaStsPolicyQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.domain}: {self.mode or 'unknown'}"
