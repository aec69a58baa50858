"""When a queue will be empty at the rate of the last minutes, or that it grows: of all, a domain or a site.

Counts what leaves for good against what comes in; a delivery that only waits for its next attempt is
open, too, so the figure is what it would take at this pace, not a promise of each mail.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from queueapp.models import EVERY_DOMAIN
from queueapp.stats import history

OVER = 900  # seconds
_STEADY = 0.05  # of what comes in, either way: neither grows nor drains

Drain = dict[str, Any]
"""{"trend": empty|drains|grows|steady|still, "n", "per_minute", "in_s", "text"}"""


def of_scope(n: int, now: datetime, scope: int = EVERY_DOMAIN) -> Drain:
    """`n`: what waits there; `scope` as rows of Minute have it."""
    start = now - timedelta(seconds=OVER)
    first, sums = history.counts(start, now, 60, scope)
    minutes = max((now - first).total_seconds() / 60, 1.0)
    left = sum(sum(sums[metric]) for metric in ("delivered", "bounced", "expired"))
    return told(n, sum(sums["accepted"]) / minutes, left / minutes)


def told(n: int, came: float, left: float) -> Drain:
    """`came` and `left`: a minute."""
    net = left - came
    if not n:
        return _drain("empty", n, 0.0, None, "Nothing waits to be delivered.")
    if not came and not left:
        return _drain("still", n, 0.0, None, "Nothing came and nothing left in the last 15 minutes.")
    if abs(net) <= _STEADY * max(came, left):
        return _drain("steady", n, net, None, "As much leaves as comes in.")
    if net < 0:
        return _drain("grows", n, net, None, f"It grows by {_rate(-net)} a minute.")
    seconds = n / net * 60
    text = f"Empty in about {_words(seconds)} at the pace of the last 15 minutes."
    return _drain("drains", n, net, seconds, text)


def _drain(trend: str, n: int, net: float, seconds: float | None, text: str) -> Drain:
    return {"trend": trend, "n": n, "per_minute": round(net, 1), "in_s": seconds, "text": text}


def _rate(n: float) -> str:
    return f"{n:.1f}" if n < 10 else f"{round(n):,}"


def _words(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    if minutes < 90:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    return f"{hours} h" if hours < 48 else f"{round(seconds / 86400):,} days"
