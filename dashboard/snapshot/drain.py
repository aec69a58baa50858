"""When the whole queue will be empty at the rate of the last minutes (queueapp/stats/drain.py)."""

from __future__ import annotations

from datetime import datetime

from queueapp import stats
from queueapp.stats.drain import OVER, Drain, told


def drain(depth: dict[str, int], now: datetime) -> Drain:
    """Of everything; `depth` by state."""
    rates = stats.rates(now, over=OVER)
    n = depth["queued"] + depth["sending"] + depth["deferred"]
    return told(n, rates["accepted"], rates["delivered"] + rates["bounced"] + rates["expired"])
