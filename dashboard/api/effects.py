"""What rules do now, and did; lifted before their time (access/effects.py acts)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import Field

from dashboard.api.errors import Error, not_found
from dashboard.api.keys import Asks, Needs, actor
from dashboard.snapshot import effects as shown
from queueapp.access import effects as access
from queueapp.access.change import known
from queueapp.models import Effect

router = Router(tags=["rules"])
_REFUSALS = {(401, 403, 404, 409, 422, 503): Error}


class EffectsIn(Schema):
    all: bool = Field(False, description="Also those that are over.")
    limit: int = Field(100, ge=1, le=500)
    cursor: int = Field(0, ge=0, lt=2**63, description="`next` of the page before.")


class EffectOut(Schema):
    """`until` null: until it is lifted. `n_hits`: what was counted; `n_held`: what waited and was held."""

    id: int
    rule: str
    rule_id: int | None
    action: str
    scope: str
    key: str
    label: str
    sentence: str
    reply_class: str = Field(alias="class")
    reply: str
    rate: str
    since: datetime
    until: datetime | None
    n: int
    n_hits: int
    n_held: int
    q: str
    owner_to: str
    is_over: bool
    ended_at: datetime | None
    lifted_at: datetime | None
    lifted_by: str


class EffectsOut(Schema):
    items: list[EffectOut]
    next: int | None
    count: int
    count_is_exact: bool


class LiftedOut(Schema):
    n: int


@router.get("/effects", auth=Needs("read"), response={200: EffectsOut, (401, 403, 422, 503): Error},
            by_alias=True)  # fmt: skip
def effects(request: HttpRequest, asked: Query[EffectsIn]) -> dict[str, Any]:
    """The newest first."""
    now = timezone.now()
    rows = Effect.objects.all() if asked.all else Effect.objects.open(now)
    count = rows.count()
    rows = rows.filter(pk__lt=asked.cursor) if asked.cursor else rows
    found = [_out(row) for row in shown.shown(rows.order_by("-id")[: asked.limit + 1], now)]
    more = len(found) > asked.limit
    items = found[: asked.limit]
    next_ = items[-1]["id"] if more else None
    return {"items": items, "next": next_, "count": count, "count_is_exact": True}


@router.get("/effects/{effect_id}", auth=Needs("read"), response={200: EffectOut, **_REFUSALS}, by_alias=True)
def effect(request: HttpRequest, effect_id: int) -> dict[str, Any]:
    """One, also when it is over."""
    found = shown.shown(Effect.objects.filter(pk=known(effect_id)), timezone.now())
    if not found:
        raise not_found("effect", effect_id)
    return _out(found[0])


@router.post("/effects/{effect_id}/lift", auth=Asks("operate"), response={200: LiftedOut, **_REFUSALS})
def lift(request: HttpRequest, effect_id: int) -> dict[str, int]:
    """End it now. `n` deliveries are due by that, and more follow slice by slice; what is held stays held."""
    return {"n": access.lift(actor(request), effect_id)}


def _out(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "class": row["reply_class"]}
