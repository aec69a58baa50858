"""A runner's row: its token, and the lease that says it lives. By the database's clock, for
machines' clocks may differ by a minute."""

from __future__ import annotations

import os

from django.db.models import DateTimeField, ExpressionWrapper
from django.db.models.functions import Now
from django.utils import timezone

from queueapp import conf, events
from queueapp.models import LEASE, Runner

_AHEAD = ExpressionWrapper(Now() + LEASE, output_field=DateTimeField())


def machine() -> str:
    """This machine and home, as Runner rows name them: whose journals we can read."""
    return f"{conf.current().host}:{conf.current().home}"[:255]


def begin(job: str) -> int:
    """A new runner's token."""
    now = timezone.now()
    row = Runner.objects.create(
        job=job, machine=machine(), pid=os.getpid(), started_at=now, lease_until=now + LEASE,
        holds={},
    )  # fmt: skip
    Runner.objects.filter(pk=row.pk).update(lease_until=_AHEAD)
    events.publish("runners", runner=row.pk)
    return row.pk


def renew(runner_id: int, figures: dict[str, int]) -> bool:
    """Stay alive and show the figures. False: a reaper has ended this runner."""
    alive = Runner.objects.filter(pk=runner_id, ended_at__isnull=True)
    return bool(alive.update(lease_until=_AHEAD, **figures))


def end(runner_id: int) -> bool:
    """True where it was we who ended it."""
    ended = Runner.objects.filter(pk=runner_id, ended_at__isnull=True).update(
        ended_at=timezone.now(), n_sessions=0
    )
    events.publish("runners", runner=runner_id)
    return bool(ended)
