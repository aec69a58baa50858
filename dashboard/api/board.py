"""What the API tells of a domain or site as the board does: both read dashboard/snapshot/board.py."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Schema
from pydantic import Field


class RowCauseOut(Schema):
    """Why mail waits: `text` in our words, `reply` in the receiver's."""

    reply_class: str = Field(alias="class")
    text: str
    reply: str


class OutcomesOut(Schema):
    """Of the last 50 attempts, newest last: d delivered, w deferred, b bounced. Some seconds behind."""

    last: str
    delivered_at: datetime | None


class TimesOut(Schema):
    """Seconds to deliver, over the last hour."""

    median_s: float | None
    p95_s: float | None


class BoardOut(Schema):
    name: str
    state: str
    cause: RowCauseOut
    since: datetime | None
    next_at: datetime | None
    waiting_by_age: list[int] | None = Field(
        description="Under 5, 10, 20 … 1280 minutes, and more; null while it is being counted."
    )
    counted_at: datetime | None = Field(description="null: now.")
    sessions: int | None
    max_sessions: int | None
    delivered_per_minute: float
    time_to_deliver: TimesOut
    outcomes: OutcomesOut


def told(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the board as BoardOut."""
    return {
        "name": row["name"],
        "state": row["state"],
        "cause": {"class": row["reply_class"], "text": row["cause"], "reply": row["reply"]},
        "since": row["since"],
        "next_at": row["next_at"],
        "waiting_by_age": row["ages"],
        "counted_at": row["ages_at"],
        "sessions": row["sessions"],
        "max_sessions": row["max_sessions"],
        "delivered_per_minute": row["per_minute"],
        "time_to_deliver": {"median_s": row["median_s"], "p95_s": row["p95_s"]},
        "outcomes": {"last": row["outcomes"], "delivered_at": row["delivered_at"]},
    }
