"""By egress source: what became of mail that left by it, whether it is used, and who has blocked it.

A source's label is the name that it has, else its address; "system" is the address that the system chooses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from django.db.models import Count
from django.utils import timezone
from prometheus_client.core import Metric

from dashboard.api.figures.families import counters, each, gauges
from queueapp.models import EgressSource, Suspension
from queueapp.stats import totals

TOP = totals.SOURCES
SYSTEM = "system"
_RESULTS = ("delivered", "deferred", "bounced")


def collect() -> Iterator[Metric]:
    names = {
        address: (name, is_active)
        for address, name, is_active in EgressSource.objects.order_by("id").values_list(
            "address", "name", "is_active"
        )[:TOP]
    }
    attempts: dict[str, Counter[str]] = {}
    for address, results in totals.attempts()["sources"].items():
        name = names[address][0] if address in names else address or SYSTEM
        attempts.setdefault(name, Counter()).update(results)
    samples = (
        ((source, result), float(results[result]))
        for source, results in sorted(attempts.items())
        for result in _RESULTS
    )
    text = "Attempts from the source by what came of them."
    yield counters("source_attempts", text, "source result", samples)
    active = {name: float(is_active) for name, is_active in names.values()}
    yield gauges("source_active", "Whether the source takes mail; 0: it is drained.", "source", each(active))
    text = "Sites that have blocked the source, which sends them nothing for a while."
    yield gauges("suspensions", text, "source", each(_suspensions([name for name, _ in names.values()])))


def _suspensions(names: list[str]) -> dict[str, float]:
    found = {SYSTEM: 0.0, **dict.fromkeys(names, 0.0)}
    rows = Suspension.objects.filter(until__gt=timezone.now()).order_by().values("source__name")
    for name, n in rows.annotate(n=Count("id")).values_list("source__name", "n"):
        label = name or SYSTEM
        label = label if label in found else totals.OTHER
        found[label] = found.get(label, 0.0) + n
    return found
