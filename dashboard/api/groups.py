"""`GET /api/v1/deliveries/groups`: how the deliveries of a search share out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from dashboard import filters
from dashboard.api.deliveries import from_mistake
from dashboard.api.errors import Error
from dashboard.api.keys import Needs

router = Router(tags=["queue"])


class GroupsIn(Schema):
    by: str = Field(..., description="One of: " + ", ".join(filters.GROUPS))
    q: str = Field("", description="The search grammar.")


class GroupOut(Schema):
    """`q` finds its deliveries; null where the grammar has no word for them."""

    name: str
    count: int
    q: str | None


class GroupsOut(Schema):
    """The largest hundred. Where `count_is_exact` is false, it counted from now back to `searched_to`."""

    items: list[GroupOut]
    n_groups: int
    count: int
    count_is_exact: bool
    searched_to: datetime | None


@router.get(
    "/deliveries/groups", auth=Needs("read"), response={200: GroupsOut, (400, 401, 403, 422, 503): Error}
)
def groups(request: HttpRequest, asked: Query[GroupsIn]) -> dict[str, Any]:
    """Deliveries that the search selects, counted by what they have in common."""
    shared = filters.groups_of(asked.dict())
    if shared.error:
        raise from_mistake(shared.error)
    found = shared.found
    return {
        "items": [{"name": each.name, "count": each.n, "q": shared.opened(each)} for each in found.items],
        "n_groups": found.n_groups,
        "count": found.n_rows,
        "count_is_exact": found.is_exact,
        "searched_to": found.reached_at,
    }
