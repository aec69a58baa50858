"""What rules did and counted is kept for a while, and no longer."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from queueapp.engine.rules.flood import KEEP_MINUTES
from queueapp.models import BackoffRule, Effect, RuleCount, SenderMinute, SenderUsual

KEEP_EFFECTS = timedelta(days=90)
KEEP_USUAL = timedelta(days=180)


def prune(now: datetime, batch: int) -> dict[str, int]:
    """Remove at most `batch` rows each."""
    longest = max(BackoffRule.objects.values_list("per", flat=True), default=timedelta(0))
    return {
        "effects of rules": _delete(Effect.objects.filter(ended_at__lt=now - KEEP_EFFECTS), batch),
        "counts of rules": _delete(
            RuleCount.objects.filter(at__lt=now - longest - timedelta(hours=1)), batch
        ),
        "minutes of senders": _delete(SenderMinute.objects.filter(at__lt=now - KEEP_MINUTES), batch),
        "what is usual of senders": _delete(SenderUsual.objects.filter(seen_at__lt=now - KEEP_USUAL), batch),
    }


def _delete(rows: QuerySet[Any], batch: int) -> int:
    ids = list(rows.values_list("pk", flat=True)[:batch])
    return rows.model._default_manager.filter(pk__in=ids).delete()[0] if ids else 0
