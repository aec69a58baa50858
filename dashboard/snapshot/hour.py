"""The last sixty minutes for the chart, the running minute last."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from queueapp import stats

METRICS = ("accepted", "delivered", "deferred", "bounced")
MINUTES = 60


def last_hour(now: datetime) -> dict[str, Any]:
    """{"start": the first minute, metric: [one number a minute]}"""
    start = stats.minute_of(now) - timedelta(minutes=MINUTES - 1)
    found: dict[str, Any] = {"start": start}
    for metric in METRICS:
        found[metric] = [n for _, n in stats.series(metric, start, now, 60)][:MINUTES]
    return found
