"""Charts of an hour, a day, a week or a month, of all mail, of a domain or of a site."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from queueapp.mail.classify import CLASSES
from queueapp.models import EVERY_DOMAIN
from queueapp.stats import history
from queueapp.stats.outcomes import SLOT

METRICS = ("accepted", "delivered", "deferred", "bounced")
# span: (how long, seconds of a step)
SPANS = {
    "hour": (timedelta(hours=1), 60),
    "day": (timedelta(days=1), 900),
    "week": (timedelta(days=7), 7200),
    "month": (timedelta(days=30), 86400),
}
_MOST_CLASSES = 12


def chart(span: str, scope: int = EVERY_DOMAIN, now: datetime | None = None) -> dict[str, Any]:
    """Counts of each step with their sums; medians and 95th percentiles of times to deliver; classes of
    replies, most first. `span` is one of SPANS."""
    now = now or datetime.now(UTC)
    length, step = SPANS[span]
    begin = now - length + timedelta(seconds=step)
    start, counts = history.counts(begin, now, step, scope)
    slot = max(step, SLOT)
    slots_at, spreads, classes = history.outcomes(now - length + timedelta(seconds=slot), now, slot, scope)
    found: dict[str, Any] = {"span": span, "start": start, "step": step}
    found |= {metric: counts[metric] for metric in METRICS}
    # Given up by age is a failure for good, as a bounce is.
    found["bounced"] = [a + b for a, b in zip(counts["bounced"], counts["expired"], strict=True)]
    found["sums"] = {metric: sum(found[metric]) for metric in METRICS}
    found["times"] = {"start": slots_at, "step": slot, **history.percentiles(spreads)}
    found["classes"] = _classes(classes)
    return found


def _classes(found: dict[str, int]) -> list[dict[str, Any]]:
    most = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_CLASSES]
    return [
        {"name": name, "n": n, "sentence": CLASSES[name].sentence if name in CLASSES else ""}
        for name, n in most
    ]
