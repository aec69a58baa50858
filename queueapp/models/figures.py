"""What the board shows of a domain or site beside its counters: the last outcomes, and how long mail takes.

Written in the background only (queueapp/stats/outcomes.py), a few seconds behind, in tables of their
own: the engine's rows, which thousands of mails want at once, are never touched for a picture.
"""

from __future__ import annotations

from django.db import models

from queueapp.models.domain import RecipientDomain
from queueapp.models.site import Site

LAST = 50
LETTERS = {"delivered": "d", "deferred": "w", "bounced": "b"}


class Figures(models.Model):
    outcomes = models.CharField(
        max_length=LAST,
        blank=True,
        help_text="The last ones, newest last: d delivered, w deferred, b bounced.",
    )
    tried_at = models.DateTimeField(null=True, blank=True, help_text="The last attempt.")
    delivered_at = models.DateTimeField(null=True, blank=True, help_text="The last one that was delivered.")
    per_minute = models.FloatField(default=0, help_text="Delivered, over the last five minutes.")
    median_s = models.FloatField(null=True, blank=True, help_text="To deliver, over the last hour.")
    p95_s = models.FloatField(null=True, blank=True)
    error_class = models.CharField(
        max_length=16, blank=True, help_text="Of the last deferral: why mail waits."
    )
    error_reply = models.CharField(max_length=1000, blank=True)
    error_at = models.DateTimeField(null=True, blank=True)
    refresh_at = models.DateTimeField(
        null=True, blank=True, help_text="When rate and times are looked at again. Empty: they are at rest."
    )

    class Meta:
        abstract = True


class DomainFigures(Figures):
    domain = models.OneToOneField(RecipientDomain, models.CASCADE, primary_key=True, related_name="figures")

    class Meta:
        indexes = [
            models.Index(
                fields=["refresh_at"],
                name="domain_figures_refresh",
                condition=models.Q(refresh_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"figures of domain {self.pk}"


class SiteFigures(Figures):
    site = models.OneToOneField(Site, models.CASCADE, primary_key=True, related_name="figures")

    class Meta:
        indexes = [
            models.Index(
                fields=["refresh_at"],
                name="site_figures_refresh",
                condition=models.Q(refresh_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"figures of site {self.pk}"
