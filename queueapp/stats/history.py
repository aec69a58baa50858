"""What charts show: counts over a stretch of time from the coarsest table that is exact for their steps,
times to deliver and classes of replies from the slots of outcomes. Never from the queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db.models import Sum

from queueapp.models import EVERY_DOMAIN, Day, Hour, Minute, OutcomeSlot, RecipientDomain
from queueapp.stats import METRICS, rollups
from queueapp.stats.outcomes import SLOT
from queueapp.stats.spread import Spread, percentile, together

HOUR, DAY = 3600, 86400
_COLUMNS = [f"n_{metric}" for metric in METRICS]


def first_step(start: datetime, step: int) -> datetime:
    return datetime.fromtimestamp(start.timestamp() // step * step, UTC)


def counts(
    start: datetime, end: datetime, step: int, scope: int = EVERY_DOMAIN
) -> tuple[datetime, dict[str, list[int]]]:
    """(start of the first step, {metric: [n of each step]}); `step` in seconds, at least 60."""
    first = first_step(start, step)
    n_steps = max(0, int((end - first).total_seconds() // step) + 1)
    sums = {metric: [0] * n_steps for metric in METRICS}
    for at, *numbers in _rows(first, end, step, scope):
        place = int((at - first).total_seconds() // step)
        if 0 <= place < n_steps:
            for metric, n in zip(METRICS, numbers, strict=True):
                sums[metric][place] += n
    return first, sums


def _rows(start: datetime, end: datetime, step: int, scope: int) -> Iterator[Any]:
    """(at, numbers…), each row counted in one table only."""
    at = start
    for model, size, name in ((Day, DAY, rollups.DAYS), (Hour, HOUR, rollups.HOURS)):
        done = rollups.until(name) if step % size == 0 else None
        if done and done > at:
            done = min(done, end)
            rows = model._default_manager.filter(scope=scope, at__gte=at, at__lt=done)
            yield from rows.values_list("at", *_COLUMNS)
            at = done
    if scope < 0:
        done = rollups.until(rollups.SITES) or at
        yield from _minutes(scope, at, min(done, end))
        yield from _minutes_of_domains(-scope, max(done, at), end)
    else:
        yield from _minutes(scope, at, end)


def _minutes(scope: int, start: datetime, end: datetime) -> Iterator[Any]:
    rows = Minute.objects.filter(domain_id=scope, at__gte=start, at__lt=end)
    yield from rows.values_list("at", *_COLUMNS).iterator()


def _minutes_of_domains(site_id: int, start: datetime, end: datetime) -> Iterator[Any]:
    """The minutes that are not summed by site yet: one or two."""
    ids = RecipientDomain.objects.filter(site_id=site_id).values("pk")
    rows = Minute.objects.filter(domain_id__in=ids, at__gte=start, at__lt=end).order_by().values("at")
    yield from rows.annotate(**{name: Sum(name) for name in _COLUMNS}).values_list("at", *_COLUMNS)


def outcomes(
    start: datetime, end: datetime, step: int, scope: int = EVERY_DOMAIN
) -> tuple[datetime, list[Spread], Spread]:
    """(start of the first step, [spread of times to deliver in each], {class: n} over all); `step` is a
    multiple of ten minutes."""
    step = max(step, SLOT)
    first = first_step(start, step)
    n_steps = max(0, int((end - first).total_seconds() // step) + 1)
    spreads: list[list[Spread]] = [[] for _ in range(n_steps)]
    classes: list[Spread] = []
    rows = OutcomeSlot.objects.filter(scope=scope, at__gte=first, at__lt=end)
    for at, times, found in rows.values_list("at", "times", "classes").iterator():
        spreads[int((at - first).total_seconds() // step)].append(times)
        classes.append(found)
    return first, [together(each) for each in spreads], together(classes)


def percentiles(spreads: list[Spread]) -> dict[str, list[float | None]]:
    return {
        "median": [percentile(each, 0.5) for each in spreads],
        "p95": [percentile(each, 0.95) for each in spreads],
    }
