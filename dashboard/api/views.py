"""`/views`: searches kept under a name, one's own and those that everybody sees (access/views.py acts)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from dashboard import filters
from dashboard.api.errors import Error
from dashboard.api.keys import Asks, Needs, actor
from dashboard.api.sites import Strict
from queueapp.access import views
from queueapp.models import SavedView

router = Router(tags=["queue"])
_REFUSALS = {(401, 403, 404, 409, 422, 503): Error}
MOST = 500


class ViewIn(Strict):
    name: str = Field(description="1 to 60 characters; one of yours that has it is replaced.")
    q: str = Field("", description="The search grammar.")
    order: str = Field("", description="Empty, or one of: " + ", ".join(filters.ORDERS))
    group: str = Field("", description="Empty, or one of: " + ", ".join(filters.GROUPS))
    is_shared: bool = Field(False, description="Everybody sees it; needs `operate`.")


class ViewOut(Schema):
    id: int
    name: str
    q: str
    order: str
    group: str
    is_shared: bool
    owner: str
    is_mine: bool
    created_at: datetime


@router.get("/views", auth=Needs("read"), response={200: list[ViewOut], (401, 403, 503): Error})
def list_views(request: HttpRequest) -> list[dict[str, Any]]:
    """One's own and the shared ones, by name; the first 500."""
    who = actor(request)
    return [_shown(row, who.name) for row in SavedView.objects.seen_by(who.name)[:MOST]]


@router.post("/views", auth=Asks("read"), response={201: ViewOut, **_REFUSALS})
def save_view(request: HttpRequest, asked: ViewIn) -> Status[dict[str, Any]]:
    """Keep a search. A key's views are its own, as a person's are."""
    who = actor(request)
    made = views.save(who, asked.name, asked.q, asked.order, asked.group, is_shared=asked.is_shared)
    return Status(201, _shown(made, who.name))


@router.delete("/views/{view_id}", auth=Asks("read"), response={204: None, **_REFUSALS})
def delete_view(request: HttpRequest, view_id: int) -> Status[None]:
    """One's own; a shared one of somebody else needs `admin`."""
    views.remove(actor(request), view_id)
    return Status(204, None)


def _shown(row: SavedView, asker: str) -> dict[str, Any]:
    names = ("name", "order", "group", "is_shared", "owner", "created_at")
    facts = {name: getattr(row, name) for name in names}
    return {"id": row.pk, "q": row.query, "is_mine": row.owner == asker, **facts}
