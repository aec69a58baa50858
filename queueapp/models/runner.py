"""A queue runner: who holds claims, and until when they count as alive."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# Long enough for a stop of the machine that nobody noticed, short enough that mail isn't late.
LEASE = timedelta(seconds=60)


class RunnerQuerySet(models.QuerySet["Runner"]):
    def alive(self) -> Self:
        """By the database's clock: machines may differ by a minute."""
        return self.filter(ended_at__isnull=True, lease_until__gt=Now())

    def lapsed(self) -> Self:
        return self.filter(ended_at__isnull=True, lease_until__lte=Now())


class Runner(models.Model):
    """`id` is the token of all its claims."""

    job = models.CharField(max_length=64)
    machine = models.CharField(max_length=255)  # host:home, since one host may have several homes
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    lease_until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    n_sessions = models.PositiveIntegerField(default=0)
    n_claimed = models.PositiveIntegerField(default=0)
    n_delivered = models.PositiveIntegerField(default=0)
    n_deferred = models.PositiveIntegerField(default=0)
    n_bounced = models.PositiveIntegerField(default=0)

    holds = models.JSONField(
        null=True,
        blank=True,
        help_text="Sessions by site, while it shares them through the database and not through Redis.",
    )

    objects = RunnerQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["lease_until"], name="runner_alive", condition=Q(ended_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.job} on {self.host} ({self.pid})"

    @property
    def host(self) -> str:
        """The machine as people know it."""
        return host_of(self.machine)


def host_of(machine: str) -> str:
    return machine.partition(":")[0]
