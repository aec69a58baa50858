"""Bulk operations as pages, API and socket tell them: those at work, and those that ended a moment ago."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from queueapp.models import Operation, OperationState

MOST = 20
_SHOWN_FOR = timedelta(seconds=60)


def live(now: datetime) -> list[dict[str, Any]]:
    just_ended = Operation.objects.filter(ended_at__gt=now - _SHOWN_FOR)
    rows = (Operation.objects.open() | just_ended).select_related("undone_by").order_by("-id")
    return [shown(row, now) for row in rows[:MOST]]


def shown(row: Operation, now: datetime) -> dict[str, Any]:
    """`rate_per_s` and `left_s` are null where nothing is known of them."""
    rate = _rate(row, now)
    return {
        "id": row.pk,
        "action": row.action,
        "state": row.state,
        "q": row.q,
        "is_chosen": row.is_chosen,
        "reason": row.reason,
        "arguments": {name: value for name, value in row.arguments.items() if name != "route_id"},
        "actor": row.actor,
        "matched": row.n_matched,
        "done": row.n_done,
        "skipped": row.n_skipped,
        "failed": row.n_failed,
        "note": row.note,
        "rate_per_s": rate,
        "left_s": round((row.n_matched - row.n_seen) / rate, 1) if rate and row.is_open else None,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "undo_until": row.undo_until,
        "can_undo": row.may_be_undone(now),
        "can_cancel": row.is_open,
        "undo_of": row.undo_of_id,
        "cancelled_by": row.cancelled_by,
    }


def _rate(row: Operation, now: datetime) -> float | None:
    if row.started_at is None or not row.n_seen or row.state == OperationState.CANCELLED:
        return None
    took = ((row.ended_at or now) - row.started_at).total_seconds()
    return round(row.n_seen / took, 1) if took > 0 else None
