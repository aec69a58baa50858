"""`GET /api/v1/summary`: the state of the whole queue in one answer that costs no table scan."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema

from dashboard.api.errors import Error
from dashboard.api.keys import Needs
from queueapp import stats
from queueapp.models import Alert, Runner

router = Router(tags=["queue"])


class SummaryOut(Schema):
    at: datetime
    depth: dict[str, int]
    oldest_due_s: float | None
    per_minute: dict[str, float]
    retries_due_next_hour: int
    workers: int
    open_alerts: int


@router.get("/summary", auth=Needs("read"), response={200: SummaryOut, (401, 403, 503): Error})
def summary(request: HttpRequest) -> dict[str, Any]:
    """Deliveries by state, the oldest due one, rates, and what comes next."""
    now = timezone.now()
    return {
        "at": now,
        "depth": stats.depth(),
        "oldest_due_s": stats.oldest_due(now),
        "per_minute": stats.rates(now),
        "retries_due_next_hour": stats.retries_due(now),
        "workers": Runner.objects.alive().count(),
        "open_alerts": Alert.objects.open().count(),
    }
