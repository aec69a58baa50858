"""`GET /api/v1/audit`: who did what, and who was refused what (access/audit_log.py reads)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from dashboard.api.errors import Error
from dashboard.api.keys import Asks, actor
from queueapp.access import audit_log

router = Router(tags=["people"])


class AuditIn(Schema):
    who: str = Field("", description="A person, a key or a command, by the whole name.")
    action: str = Field("", description="Such as `hold.create`; `hold` is all of that kind.")
    target: str = Field("", description="A part of it.")
    from_: str = Field("", alias="from", description="A day in UTC, or a time.")
    to: str = Field("", description="A day in UTC, that day included, or a time.")
    refused: str = Field("", description="`yes` or `no`.")
    limit: str = Field("", description="1 to 500, default 100.")
    cursor: str = Field("", description="`next` of the page before.")


class EventOut(Schema):
    """`result` is done or refused; `q` the search that chose the rows, `n` how many they were."""

    id: int
    at: datetime
    actor: str
    origin: str
    action: str
    target: str
    n: int
    result: str
    q: str
    reason: str
    detail: dict[str, Any]


class AuditOut(Schema):
    items: list[EventOut]
    next: int | None
    count: int
    count_is_exact: bool


@router.get("/audit", auth=Asks("admin"), response={200: AuditOut, (401, 403, 422, 503): Error})
def audit(request: HttpRequest, asked: Query[AuditIn]) -> dict[str, Any]:
    """The audit, newest first."""
    found = audit_log.page(actor(request), asked.dict(by_alias=True))
    return {
        "items": [audit_log.as_dict(row) for row in found.items],
        "next": found.next,
        "count": found.count,
        "count_is_exact": found.count_is_exact,
    }
