"""What happened since the beginning, in counters that only grow: what Prometheus takes differences of.

From the figures that are there: no look reads the queue, and no restart sets one back. Events are the
minutes' sums; those that are over for SETTLED are folded into one row in the background, so that a look
reads a few hours of minutes and not forty days. Attempts are counted with the figures of the board
(stats/outcomes.py), each once, in the same transaction.

Bounds: at most SOURCES of our addresses are told apart, those that were seen first, the rest is OTHER:
so the number never grows, and no counter jumps from one name to another.
Failure: while the scheduler is away events go on (a look then reads more minutes), attempts stand still.
A clock that was set back by more than SETTLED keeps events from growing until the old time is reached.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from queueapp.models import EVERY_DOMAIN, Bookmark, Minute, OutcomeSlot, of_site
from queueapp.models.minute import TOTALS_AT
from queueapp.stats import METRICS, minute_of
from queueapp.stats.spread import together

NAME = "totals"
SETTLED = timedelta(hours=2)
"""No transaction that counts a minute is that late."""
_STEP = timedelta(hours=1)
SOURCES = 100
OTHER = "other"

Data = dict[str, Any]


def events() -> dict[str, int]:
    """Accepted, delivered, deferred, bounced and expired, since the beginning."""
    mark = Bookmark.objects.filter(pk=NAME).first()
    return _sums(mark, None)


def until() -> datetime | None:
    """Minutes before this time are folded: they may go. None: none is."""
    return Bookmark.objects.filter(pk=NAME).values_list("at", flat=True).first()


def fold(now: datetime | None = None) -> bool:
    """Take the minutes that are settled into the one row, once an hour; says whether any were."""
    upto = minute_of(now or timezone.now()) - SETTLED
    mark, _ = Bookmark.objects.get_or_create(pk=NAME)
    if mark.at is not None and upto < mark.at + _STEP:
        return False
    # Only from where it was read: another machine may have come further.
    ours = Bookmark.objects.filter(pk=NAME, at=mark.at) if mark.at else _unmoved()
    return bool(ours.update(at=upto, data=_sums(mark, upto)))


def _unmoved() -> Any:
    return Bookmark.objects.filter(pk=NAME, at__isnull=True)


def _sums(mark: Bookmark | None, end: datetime | None) -> dict[str, int]:
    rows = Minute.objects.filter(domain_id=EVERY_DOMAIN)
    if mark and mark.at:
        rows = rows.filter(at__gte=mark.at)
    if end:
        rows = rows.filter(at__lt=end)
    sums = rows.aggregate(**{metric: Sum(f"n_{metric}") for metric in METRICS})
    before = mark.data if mark else {}
    return {metric: before.get(metric, 0) + (sums[metric] or 0) for metric in METRICS}


# ── Attempts ──────────────────────────────────────────────────────────────────────────────────


class News:
    """What a batch of attempts adds."""

    def __init__(self) -> None:
        self.classes: Counter[str] = Counter()
        self.times: Counter[str] = Counter()
        self.seconds = 0.0
        self.sources: dict[str, Counter[str]] = {}

    def add(self, result: str, reply_class: str, source: str, bucket: str | None, took: float) -> None:
        """`bucket` and `took`: of a delivery, how long it took."""
        self.classes[reply_class] += 1
        self.sources.setdefault(source, Counter())[result] += 1
        if bucket is not None:
            self.times[bucket] += 1
            self.seconds += took

    def onto(self, data: Data) -> Data:
        """What the bookmark of the outcomes holds, with this added."""
        sources = dict(data.get("sources", {}))
        for source, results in sorted(self.sources.items()):
            name = source if source in sources or len(sources) < SOURCES else OTHER
            sources[name] = together([sources.get(name, {}), results])
        return {
            **data,
            "classes": together([data.get("classes", {}), self.classes]),
            "times": together([data.get("times", {}), self.times]),
            "seconds": round(data.get("seconds", 0.0) + self.seconds, 3),
            "sources": sources,
        }


def attempts() -> Data:
    """{"classes": {class: n}, "times": {bucket: n}, "seconds": their sum, "sources": {address: {result: n}}};
    the address "" is one that the system chose and no conversation told."""
    from queueapp.stats import outcomes  # which stands on this module

    data: Data = Bookmark.objects.filter(pk=outcomes.NAME).values_list("data", flat=True).first() or {}
    return {"classes": {}, "times": {}, "seconds": 0.0, "sources": {}, **data}


def classes_of_sites(site_ids: list[int]) -> dict[int, dict[str, int]]:
    """{site: {class: n attempts}}."""
    scopes = {of_site(pk): pk for pk in site_ids}
    rows = OutcomeSlot.objects.filter(scope__in=list(scopes), at=TOTALS_AT)
    return {scopes[scope]: classes for scope, classes in rows.values_list("scope", "classes")}
