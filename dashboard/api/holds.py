"""Rules that hold mail which comes in from now on (access/holds.py acts)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema, Status
from pydantic import Field

from dashboard.api.errors import Error
from dashboard.api.keys import Asks, Needs, actor
from dashboard.api.sites import Strict
from queueapp.access import holds as access
from queueapp.models import HoldRule

router = Router(tags=["holds"])
_REFUSALS = {(401, 403, 404, 409, 422, 503): Error}


class HoldIn(Strict):
    kind: str
    value: str = Field(max_length=512)
    reason: str
    until: datetime | None = None


class HoldOut(Schema):
    id: int
    kind: str
    value: str
    reason: str
    since: datetime
    until: datetime | None
    made_by: str
    is_over: bool


@router.get("/holds", auth=Needs("read"), response={200: list[HoldOut], (401, 403, 503): Error})
def holds(request: HttpRequest) -> list[dict[str, Any]]:
    """All rules, also those that are over."""
    return [_out(row) for row in HoldRule.objects.order_by("pk")]


@router.post("/holds", auth=Asks("admin"), response={201: HoldOut, **_REFUSALS})
def create_hold(request: HttpRequest, asked: HoldIn) -> Status[dict[str, Any]]:
    """`kind` is sender, sender_domain, recipient_domain or tag. Mail that waits already is not touched."""
    return Status(201, _out(access.hold(actor(request), asked.kind, asked.value, asked.reason, asked.until)))


@router.delete("/holds/{rule_id}", auth=Asks("admin"), response={204: None, **_REFUSALS})
def delete_hold(request: HttpRequest, rule_id: int) -> Status[None]:
    """What the rule has held stays held."""
    access.lift(actor(request), rule_id)
    return Status(204, None)


def _out(row: HoldRule) -> dict[str, Any]:
    return {
        "id": row.pk, "kind": row.kind, "value": row.value, "reason": row.reason, "since": row.since,
        "until": row.until, "made_by": row.made_by,
        "is_over": row.until is not None and row.until <= timezone.now(),
    }  # fmt: skip
