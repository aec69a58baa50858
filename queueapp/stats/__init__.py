"""Counters by minute, and the figures that pages, API and metrics show.

Promises: `record` runs in the transaction that it counts, so the sums agree with the rows;
reading costs the same at a thousand deliveries and at a million, because nothing here
scans the live table.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from django.db.models import Min, Sum

from queueapp.models import EVERY_DOMAIN, WAITING, Delivery, Minute, RecipientDomain
from queueapp.models.bulk import ManyRows

METRICS = ("accepted", "delivered", "deferred", "bounced", "expired")

_ADD = """
    INSERT INTO queueapp_minute (at, domain_id, n_accepted, n_delivered, n_deferred, n_bounced, n_expired)
    {values}
    ON CONFLICT (domain_id, at) DO UPDATE SET
        n_accepted = queueapp_minute.n_accepted + excluded.n_accepted,
        n_delivered = queueapp_minute.n_delivered + excluded.n_delivered,
        n_deferred = queueapp_minute.n_deferred + excluded.n_deferred,
        n_bounced = queueapp_minute.n_bounced + excluded.n_bounced,
        n_expired = queueapp_minute.n_expired + excluded.n_expired
"""
_UPSERT = ManyRows(
    "at:timestamptz domain:bigint " + " ".join(f"{metric}:integer" for metric in METRICS),
    postgresql=_ADD.replace("{values}", "SELECT * FROM {rows}"),
    sqlite=_ADD.replace("{values}", "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
)


# (domain id, metric) -> how many, as `record` takes it.
Tally = Counter[tuple[int, str]]


def minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def record(tally: Tally, at: datetime) -> None:
    """Add a tally to the minute of `at`, for each domain and for all."""
    sums: dict[int, Counter[str]] = {}
    for (domain_id, metric), n in tally.items():
        for scope in (domain_id, EVERY_DOMAIN):
            sums.setdefault(scope, Counter())[metric] += n
    if not sums:
        return
    minute = minute_of(at)
    # The order of the rows is the order of the locks; the sum over all, which every process
    # wants, comes last and is held for the shortest time.
    order = sorted(sums, key=lambda scope: (scope == EVERY_DOMAIN, scope))
    _UPSERT.run([(minute, scope, *[sums[scope][metric] for metric in METRICS]) for scope in order])


def depth() -> dict[str, int]:
    """Deliveries by state, exact."""
    return RecipientDomain.objects.depth()


def rates(now: datetime | None = None, over: int = 60) -> dict[str, float]:
    """A minute's worth of each metric, over the last `over` seconds rounded to whole minutes.

    The minute that runs counts with the share of it that has passed, so a burst shows at once
    and a figure never jumps at the turn of the minute.
    """
    now = now or datetime.now(UTC)
    start = minute_of(now) - timedelta(seconds=max(over, 60))
    sums = Minute.objects.filter(domain_id=EVERY_DOMAIN, at__gte=start).aggregate(
        **{metric: Sum(f"n_{metric}") for metric in METRICS}
    )
    minutes = (now - start).total_seconds() / 60
    return {metric: round((sums[metric] or 0) / minutes, 1) for metric in METRICS}


def oldest_due(now: datetime | None = None) -> float | None:
    """Seconds since the oldest due delivery became due. None: nothing is due."""
    now = now or datetime.now(UTC)
    due = Delivery.objects.due(now)
    # By state, for so the index has it (delivery_waiting).
    firsts = [due.filter(state=state).aggregate(first=Min("next_attempt_at"))["first"] for state in WAITING]
    first = min((each for each in firsts if each), default=None)
    return (now - first).total_seconds() if first else None


def retries_due(now: datetime | None = None, within: int = 3600) -> int:
    """Deferred deliveries whose next attempt comes within that many seconds."""
    now = now or datetime.now(UTC)
    soon = now + timedelta(seconds=within)
    # `due` names both states, as the index does; SQLite finds it only so.
    return Delivery.objects.due(soon).filter(state="deferred").count()


def series(
    metric: str, start: datetime, end: datetime, step: int, domain_id: int = EVERY_DOMAIN
) -> list[tuple[datetime, int]]:
    """(start of each step, how many), oldest first; a step without mail is 0. `step` in seconds, >= 60.

    From minutes, hours or days, whichever is the coarsest that the steps allow.
    """
    from queueapp.stats import history  # it stands on this module

    if metric not in METRICS:
        raise ValueError(f"there is no metric {metric!r}: one of {', '.join(METRICS)}")
    step = max(step, 60)
    first, sums = history.counts(start, end, step, domain_id)
    return [(first + timedelta(seconds=step * place), n) for place, n in enumerate(sums[metric])]
