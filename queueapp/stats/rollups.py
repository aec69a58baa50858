"""Minutes of sites from minutes of domains, hours from minutes, days from hours: so that a chart of a
month reads thirty rows, and never the queue.

In the background, a span at a time. Promises: what is made of a span is set, not added, so it may run
twice, or on two machines at once, and gives the same; after a stop of any length it goes on where it
was, in bounded steps; spans without mail are stepped over. A span is made when it has been over for
LATE: a transaction that commits later than that is counted in the minutes alone. `until` tells how far
each table is; behind that, readers take the finer one (stats/history.py).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Min, OuterRef, QuerySet, Subquery, Sum
from django.utils import timezone

from queueapp.models import Bookmark, Day, Hour, Minute, RecipientDomain, of_site
from queueapp.stats import METRICS

SITES, HOURS, DAYS = "site-minutes", "hours", "days"
LATE = timedelta(seconds=60)
AT_MOST = 2.0  # seconds a call
_BATCH = 1000
# The totals of minutes that are gone stand at 1970 (engine/prune.py).
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_COLUMNS = [f"n_{metric}" for metric in METRICS]


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    source: type[Any]
    target: type[Any]
    key: str
    """The column of the target that holds the scope."""
    span: timedelta
    after: str
    """What must have come as far first."""


_KINDS = (
    Kind(SITES, Minute, Minute, "domain_id", timedelta(minutes=1), ""),
    Kind(HOURS, Minute, Hour, "scope", timedelta(hours=1), SITES),
    Kind(DAYS, Hour, Day, "scope", timedelta(days=1), HOURS),
)


def roll(now: datetime | None = None) -> int:
    """Make what is over; returns how many spans."""
    now = now or timezone.now()
    end, n = time.monotonic() + AT_MOST, 0
    for kind in _KINDS:
        while time.monotonic() < end and _step(kind, now):
            n += 1
    return n


def until(name: str) -> datetime | None:
    """Before this time the table is complete; None: nothing is made yet."""
    return Bookmark.objects.filter(pk=name).values_list("at", flat=True).first()


def floor(at: datetime, span: timedelta) -> datetime:
    seconds = int(span.total_seconds())
    return datetime.fromtimestamp(at.timestamp() // seconds * seconds, UTC)


def _step(kind: Kind, now: datetime) -> bool:
    """One span; False where none is over."""
    limit = floor(now - LATE, kind.span)
    if kind.after:
        ready = until(kind.after)
        limit = min(limit, floor(ready, kind.span)) if ready else _FIRST
    mark, _ = Bookmark.objects.get_or_create(pk=kind.name)
    start = mark.at or _first(kind)
    if start is None or start >= limit:
        return False
    first = kind.source.objects.filter(at__gte=start, at__lt=limit).aggregate(at=Min("at"))["at"]
    if first is None:
        _move(mark, limit)
        return False
    start = max(start, floor(first, kind.span))
    _write(kind, start, _sums(kind, start))
    return _move(mark, start + kind.span)


def _first(kind: Kind) -> datetime | None:
    at = kind.source.objects.filter(at__gte=_FIRST).aggregate(at=Min("at"))["at"]
    return floor(at, kind.span) if at else None


def _sums(kind: Kind, start: datetime) -> list[tuple[Any, ...]]:
    rows = kind.source.objects.filter(at__gte=start, at__lt=start + kind.span)
    sums = {name: Sum(name) for name in _COLUMNS}
    if kind.name == SITES:
        found = by_site(rows.filter(domain_id__gt=0)).annotate(**sums).values_list("site", *_COLUMNS)
        return [(of_site(site), *ns) for site, *ns in found if site]
    scope = "domain_id" if kind.source is Minute else "scope"
    return list(rows.values(scope).annotate(**sums).values_list(scope, *_COLUMNS))


def by_site(minutes: QuerySet[Minute]) -> QuerySet[Any, Any]:
    """Grouped by the site that each domain has now."""
    site = RecipientDomain.objects.filter(pk=OuterRef("domain_id")).values("site_id")[:1]
    return minutes.annotate(site=Subquery(site)).order_by().values("site")


def _write(kind: Kind, at: datetime, sums: list[tuple[Any, ...]]) -> None:
    rows = [
        kind.target(**{kind.key: scope, "at": at, **dict(zip(_COLUMNS, ns, strict=True))})
        for scope, *ns in sums
    ]
    for place in range(0, len(rows), _BATCH):
        kind.target.objects.bulk_create(
            rows[place : place + _BATCH],
            update_conflicts=True,
            unique_fields=[kind.key, "at"],
            update_fields=_COLUMNS,
        )


def _move(mark: Bookmark, at: datetime) -> bool:
    """Only from where it was read: another machine may have come further."""
    ours = (
        Bookmark.objects.filter(pk=mark.pk, at=mark.at)
        if mark.at
        else Bookmark.objects.filter(pk=mark.pk, at__isnull=True)
    )
    return bool(ours.update(at=at))
