"""What happened in one minute, for one domain or for all: charts and rules read these, not the queue."""

from __future__ import annotations

from django.db import models

EVERY_DOMAIN = 0


class Minute(models.Model):
    at = models.DateTimeField(help_text="The minute's start.")
    domain_id = models.BigIntegerField(default=EVERY_DOMAIN, help_text="0 is the sum over all.")
    n_accepted = models.PositiveIntegerField(default=0)
    n_delivered = models.PositiveIntegerField(default=0)
    n_deferred = models.PositiveIntegerField(default=0)
    n_bounced = models.PositiveIntegerField(default=0)
    n_expired = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            # The upsert's target; also serves the charts: one domain over a span.
            models.UniqueConstraint(fields=["domain_id", "at"], name="minute_once"),
        ]
        # `prune` by age.
        indexes = [models.Index(fields=["at"], name="minute_at")]

    def __str__(self) -> str:
        return f"{self.at:%F %R} domain {self.domain_id}"
