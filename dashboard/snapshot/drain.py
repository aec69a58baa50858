"""When the queue will be empty at the rate of the last minutes, or that it grows.

Counts what leaves for good against what comes in; a delivery that only waits for its next attempt is
open, too, so the figure is what it would take at this pace, not a promise of each mail.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from queueapp import stats

OVER = 900  # seconds
_STEADY = 0.05  # of what comes in, either way: neither grows nor drains


def drain(depth: dict[str, int], now: datetime) -> dict[str, Any]:
    """{"trend": empty|drains|grows|steady|still, "n", "per_minute", "in_s", "text"}"""
    n = depth["queued"] + depth["sending"] + depth["deferred"]
    if not n:
        return _told("empty", n, 0.0, None, "Nothing waits to be delivered.")
    rates = stats.rates(now, over=OVER)
    came, left = rates["accepted"], rates["delivered"] + rates["bounced"] + rates["expired"]
    net = left - came
    if not came and not left:
        return _told("still", n, 0.0, None, "Nothing came and nothing left in the last 15 minutes.")
    if abs(net) <= _STEADY * max(came, left):
        return _told("steady", n, net, None, "As much leaves as comes in.")
    if net < 0:
        return _told("grows", n, net, None, f"It grows by {_rate(-net)} a minute.")
    seconds = n / net * 60
    return _told(
        "drains", n, net, seconds, f"Empty in about {_words(seconds)} at the pace of the last 15 minutes."
    )


def _told(trend: str, n: int, net: float, seconds: float | None, text: str) -> dict[str, Any]:
    return {"trend": trend, "n": n, "per_minute": round(net, 1), "in_s": seconds, "text": text}


def _rate(n: float) -> str:
    return f"{n:.1f}" if n < 10 else f"{round(n):,}"


def _words(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    if minutes < 90:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    return f"{hours} h" if hours < 48 else f"{round(seconds / 86400):,} days"
