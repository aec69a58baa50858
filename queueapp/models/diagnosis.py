"""Why mail waits, as the watch saw it last: one row for each cause of a scope.

Written by queueapp/watch/diagnosis/store.py alone, and read by pages, API and alerts: nothing is worked out
in a request. A row that is there held at the last look (`Bookmark` "diagnosis" says when that was); a cause
that is gone has no row.
"""

from __future__ import annotations

from django.db import models


class Diagnosis(models.Model):
    class Kind(models.TextChoices):
        ALL = "all"
        SITE = "site"
        DOMAIN = "domain"
        SENDER = "sender"
        CAMPAIGN = "campaign"

    kind = models.CharField(max_length=8, choices=Kind.choices)
    key = models.CharField(
        max_length=512, blank=True, help_text="Domain, sender or campaign; a site's number; empty for all."
    )
    name = models.CharField(max_length=512, blank=True, help_text="What people call it.")
    cause = models.CharField(max_length=24, help_text="A name of queueapp/watch/diagnosis/causes.")
    place = models.PositiveSmallIntegerField(help_text="Its place in the scope; 0 comes first.")
    n = models.PositiveIntegerField(help_text="Deliveries that it holds now.")
    n_failed = models.PositiveIntegerField(
        default=0, help_text="Deliveries that it bounced in the last hour."
    )
    share = models.FloatField(help_text="Of what is open in the scope, 0 to 1.")
    is_estimate = models.BooleanField(default=False, help_text="Told from a sample of the deliveries.")
    evidence = models.JSONField(default=dict)
    since = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="The last look at which it held.")

    class Meta:
        verbose_name_plural = "diagnoses"
        constraints = [
            models.UniqueConstraint(fields=["kind", "key", "cause"], name="diagnosis_once"),
        ]
        indexes = [
            # The scopes of a kind, the fullest first, by their first cause.
            models.Index(fields=["kind", "place", "-n"], name="diagnosis_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.cause} at {self.kind} {self.key}".strip()
