"""The queue as a whole: depth, age, events, attempts by class, and how long deliveries took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from django.utils import timezone
from prometheus_client.core import HistogramMetricFamily, Metric

from dashboard.api.figures.families import PREFIX, counters, each, gauge, gauges
from queueapp import stats
from queueapp.mail.classify import CLASSES
from queueapp.models import Bookmark, Delivery, Operation, OperationState
from queueapp.stats import outcomes, spread, totals

MOST = 100_000
"""Deliveries that are counted one by one for a figure; it stops there."""


def collect() -> Iterator[Metric]:
    yield gauges("deliveries", "Deliveries by state.", "state", each(stats.depth()))
    oldest = stats.oldest_due() or 0
    yield gauge("oldest_due_seconds", "How long the oldest due delivery has waited; 0: none is due.", oldest)
    text = f"Deferred deliveries due within an hour, counted up to {MOST:,}."
    yield gauge("retries_due_next_hour", text, _retries_due())
    yield counters("events", "What happened to deliveries.", "event", each(totals.events()))
    yield from _attempts()
    yield gauges("operations", "Bulk operations that are not over, by state.", "state", each(_operations()))


def _retries_due() -> int:
    soon = timezone.now() + timedelta(hours=1)
    return Delivery.objects.due(soon).filter(state="deferred").order_by()[:MOST].count()


def _attempts() -> Iterator[Metric]:
    found = totals.attempts()
    # Every class from the start: a rise from nothing to one is a rise only where there was a 0.
    classes = {name: found["classes"].get(name, 0) for name in CLASSES}
    yield counters("attempts", "Attempts by the class of what came of them.", "class", each(classes))
    family = HistogramMetricFamily(
        f"{PREFIX}delivery_duration_seconds", "From when a delivery might go to its delivery."
    )
    family.add_metric([], _cumulative(found["times"]), found["seconds"])
    yield family
    mark = Bookmark.objects.filter(pk=outcomes.NAME).values_list("at", flat=True).first()
    if mark is not None:
        text = "When attempts were last counted: the figures of attempts are as old as that."
        yield gauge("attempts_counted_timestamp_seconds", text, mark.timestamp())


def _cumulative(times: Mapping[str, int]) -> list[tuple[str, float]]:
    """Of two buckets an octave, every other one: their ends are exact."""
    found, n = [], 0
    for bucket in range(spread.LAST):
        n += times.get(str(bucket), 0)
        if bucket % 2 == 0:
            found.append((f"{spread.end_of(bucket):g}", float(n)))
    return [*found, ("+Inf", float(sum(times.values())))]


def _operations() -> dict[str, int]:
    found = {str(state): 0 for state in (OperationState.WAITING, OperationState.RUNNING)}
    for state in Operation.objects.open().order_by("id").values_list("state", flat=True)[:MOST]:
        found[state] = found.get(state, 0) + 1
    return found
