"""`GET /api/v1/blocklists`, `POST /api/v1/blocklists/check`: our addresses and domains by list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import Field

from dashboard.api.deliveries import from_mistake
from dashboard.api.errors import Error
from dashboard.api.keys import Asks, Needs, actor
from dashboard.api.sites import Strict
from dashboard.filters import Wrong, limit_of, one_of, read_cursor, write_cursor
from dashboard.snapshot import listings
from queueapp.access import blocklists as access
from queueapp.models import Listing, ListingState
from queueapp.watch.blocklists import targets

router = Router(tags=["blocklists"])
_STATES = ("", *ListingState.values, "confirmed", "named")


class ListingsIn(Schema):
    target: str = Field("", max_length=255, description="An address or a domain.")
    list: str = Field("", max_length=64, description="The name of a list.")
    state: str = Field("", description="listed, clean, unknown, error; confirmed, named.")
    limit: str = Field("", description="1 to 500, default 100.")
    cursor: str = Field("", description="`next` of the page before.")


class NamedOut(Schema):
    """Receivers whose refusals named the list."""

    n: int
    since: datetime
    at: datetime
    reply: str
    by: str


class ListingOut(Schema):
    """A listing counts when `is_confirmed`; `severity` is danger, warning or info."""

    id: int
    target: str
    kind: str
    list: str
    title: str
    state: str
    is_confirmed: bool
    since: datetime
    severity: str
    codes: Sequence[str]
    meaning: str
    reason: str
    error: str
    doubted_at: datetime | None
    checked_at: datetime | None
    next_check_at: datetime | None
    is_asked: bool
    removal: str
    remark: str
    named: NamedOut | None


class TestOut(Schema):
    kind: str
    result: str
    error: str
    at: datetime


class ListOut(Schema):
    """A list, whether it is asked and why not, and how its test entries were."""

    name: str
    title: str
    kinds: list[str]
    zone: str
    is_asked: bool
    why_not: str
    is_default: bool
    needs_key: bool
    takes_key: str
    needs_registration: bool
    allows_public_resolvers: bool
    can_be_asked: bool
    severity: str
    terms: str
    remark: str
    removal: str
    tests: list[TestOut]


class SkippedOut(Schema):
    name: str
    what: str
    why: str


class ListingsOut(Schema):
    items: list[ListingOut]
    next: str | None
    count: int
    count_is_exact: bool
    is_on: bool
    watch_at: datetime | None
    watch_is_late: bool
    skipped: list[SkippedOut]
    lists: list[ListOut]


class CheckIn(Strict):
    """Both empty: everything."""

    target: str = Field("", max_length=255)
    list: str = Field("", max_length=64)


class CheckOut(Schema):
    n: int


@router.get("/blocklists", auth=Needs("read"), response={200: ListingsOut, (401, 403, 422, 503): Error})
def blocklists(request: HttpRequest, asked: Query[ListingsIn]) -> dict[str, Any]:
    """What the lists say of each of our addresses and domains, and what is known of the lists."""
    now = timezone.now()
    try:
        rows, limit = _rows(asked, now), limit_of(asked.limit)
        after = read_cursor(asked.cursor, "id", type(None))
    except Wrong as wrong:
        raise from_mistake(wrong.mistake) from None
    found = list((rows.filter(pk__gt=after[2]) if after else rows).order_by("pk")[: limit + 1])
    next_ = write_cursor(["id", None, found[limit - 1].pk]) if len(found) > limit else None
    about = listings.about(now)
    return {
        "items": [listings.told(row, now) for row in found[:limit]],
        "next": next_,
        "count": rows.count(),
        "count_is_exact": True,
        **{name: about[name] for name in ("is_on", "watch_at", "watch_is_late")},
        "skipped": listings.skipped(targets.current()),
        "lists": listings.lists_told(),
    }


@router.post(
    "/blocklists/check", auth=Asks("operate"), response={202: CheckOut, (401, 403, 404, 409, 422, 503): Error}
)
def check(request: HttpRequest, asked: CheckIn) -> Status[dict[str, int]]:
    """Look now, in the background: of a target, a list or a pair. 409 within five minutes of the last."""
    return Status(202, {"n": access.check(actor(request), asked.target, asked.list)})


def _rows(asked: ListingsIn, now: datetime) -> Any:
    state = one_of("state", asked.state, _STATES)
    rows = Listing.objects.current()
    if state == "confirmed":
        rows = Listing.objects.confirmed()
    elif state == "named":
        rows = Listing.objects.named(now)
    elif state:
        rows = rows.filter(state=state)
    if asked.target:
        rows = rows.filter(target=asked.target.strip().lower().replace("\0", ""))
    return rows.filter(list_name=asked.list.replace("\0", "")) if asked.list else rows
