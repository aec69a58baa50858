"""What happened in a minute, an hour or a day: charts and rules read these, not the queue.

A row is of a scope: a recipient domain by its number, all domains by 0, a site by its number below
zero. The engine counts minutes of domains and of all in the transactions that it counts; minutes of
sites, hours and days are made of those in the background (queueapp/stats/rollups.py).
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import models

EVERY_DOMAIN = 0
TOTALS_AT = datetime(1970, 1, 1, tzinfo=UTC)
"""No mail is that old: the row that holds the totals of a scope, of what is gone or of all."""


def of_site(site_id: int) -> int:
    """The scope of a site."""
    return -site_id


class Counts(models.Model):
    n_accepted = models.PositiveIntegerField(default=0)
    n_delivered = models.PositiveIntegerField(default=0)
    n_deferred = models.PositiveIntegerField(default=0)
    n_bounced = models.PositiveIntegerField(default=0)
    n_expired = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True


class Minute(Counts):
    at = models.DateTimeField(help_text="The minute's start.")
    domain_id = models.BigIntegerField(
        default=EVERY_DOMAIN, help_text="Its scope: a domain, 0 for all, below zero a site."
    )

    class Meta:
        constraints = [
            # The upsert's target; also serves the charts: one domain over a span.
            models.UniqueConstraint(fields=["domain_id", "at"], name="minute_once"),
        ]
        # `prune` by age.
        indexes = [models.Index(fields=["at"], name="minute_at")]

    def __str__(self) -> str:
        return f"{self.at:%F %R} domain {self.domain_id}"


class Hour(Counts):
    at = models.DateTimeField(help_text="The hour's start, UTC.")
    scope = models.BigIntegerField(default=EVERY_DOMAIN)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scope", "at"], name="hour_once")]
        indexes = [models.Index(fields=["at"], name="hour_at")]

    def __str__(self) -> str:
        return f"{self.at:%F %R} scope {self.scope}"


class Day(Counts):
    at = models.DateTimeField(help_text="The day's start, UTC.")
    scope = models.BigIntegerField(default=EVERY_DOMAIN)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scope", "at"], name="day_once")]
        indexes = [models.Index(fields=["at"], name="day_at")]

    def __str__(self) -> str:
        return f"{self.at:%F} scope {self.scope}"


class OutcomeSlot(models.Model):
    """Ten minutes of a scope: how long deliveries took, and which classes of replies came."""

    at = models.DateTimeField(help_text="The slot's start.")
    scope = models.BigIntegerField(default=EVERY_DOMAIN)
    times = models.JSONField(default=dict, help_text="{bucket: n} of times to deliver (stats/spread.py).")
    classes = models.JSONField(default=dict, help_text="{class: n} of attempts.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scope", "at"], name="slot_once")]
        indexes = [models.Index(fields=["at"], name="slot_at")]

    def __str__(self) -> str:
        return f"{self.at:%F %R} scope {self.scope}"


class Bookmark(models.Model):
    """How far work in the background has come. Who goes on changes `number` in the same transaction, and
    only where it is still what it was: two at once can't both count."""

    name = models.CharField(max_length=32, primary_key=True)
    number = models.BigIntegerField(default=0)
    at = models.DateTimeField(null=True, blank=True)
    data = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.name} {self.number}"
