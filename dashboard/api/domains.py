"""`GET /api/v1/domains` and `/domains/{name}`: recipient domains, their depth, age and last errors."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import Field

from dashboard import filters
from dashboard.api.board import BoardOut, told
from dashboard.api.deliveries import from_mistake
from dashboard.api.errors import Error, not_found
from dashboard.api.keys import Needs
from dashboard.snapshot import board, detail
from queueapp.models import Delivery, RecipientDomain, Site, State
from queueapp.models.ages import by_age
from queueapp.models.domain import COUNTED

router = Router(tags=["queue"])
_LAST_ERRORS = 10


class DomainsIn(Schema):
    q: str = Field("", max_length=255, description="A part of the name.")
    state: str = Field("all", description="`all`, `open`, `stuck` or one state of the board.")
    order: str = Field("open", description="`open`, `deferred`, `name`, `rate`, `slow` or `next`.")
    limit: int = Field(100, ge=1, le=filters.MOST)
    cursor: str = ""


class BackoffOut(Schema):
    reply_class: str = Field(alias="class")
    reply: str
    since: datetime | None
    until: datetime | None


class SiteOut(Schema):
    name: str
    route: str
    hosts: list[Any]
    backoff: BackoffOut | None


class DomainOut(BoardOut):
    depth: dict[str, int]
    due_at: datetime | None
    is_suspended: bool
    suspended_until: datetime | None
    suspended_reason: str
    site: str


class DomainsOut(Schema):
    items: list[DomainOut]
    next: str | None
    count: int
    count_is_exact: bool


class AgeOut(Schema):
    """Open deliveries accepted less than `under_min` minutes ago (and more than the bucket before)."""

    under_min: int | None
    depth: dict[str, int]


class ErrorOut(Schema):
    delivery_id: int
    at: datetime | None
    state: str
    reply_class: str = Field(alias="class")
    reply: str
    host: str


class DomainDetail(BoardOut):
    depth: dict[str, int]
    due_at: datetime | None
    is_suspended: bool
    suspended_until: datetime | None
    suspended_reason: str
    site: SiteOut | None
    ages: list[AgeOut]
    last_errors: list[ErrorOut]


@router.get(
    "/domains", auth=Needs("read"), response={200: DomainsOut, (401, 403, 422, 503): Error}, by_alias=True
)
def domains(request: HttpRequest, asked: Query[DomainsIn]) -> dict[str, Any]:
    """Recipient domains as the board shows them; all that were ever written to unless `state` says less."""
    page = board.page("domain", asked.dict())
    if page.error:
        raise from_mistake(page.error)
    found = RecipientDomain.objects.in_bulk([row["id"] for row in page.rows])
    return {
        "items": [{**told(row), **_plain(found[row["id"]]), "site": row["site"]} for row in page.rows],
        "next": page.next,
        "count": page.count,
        "count_is_exact": True,
    }


@router.get(
    "/domains/{name}",
    auth=Needs("read"),
    response={200: DomainDetail, (401, 403, 404, 503): Error},
    by_alias=True,
)
def domain(request: HttpRequest, name: str) -> dict[str, Any]:
    """One domain: counters by state and age, its site with the back-off, and the last errors."""
    row = RecipientDomain.objects.named(name)
    shown = detail.domain(name)
    if row is None or shown is None:
        raise not_found("recipient domain", name)
    ages = by_age(Delivery.objects.filter(domain=row), timezone.now())
    return {
        **told(shown),
        **_plain(row),
        "site": _site(row.site) if row.site else None,
        "ages": [{"under_min": under, "depth": depth} for under, depth in ages],
        "last_errors": _last_errors(row),
    }


def _plain(row: RecipientDomain) -> dict[str, Any]:
    return {
        "name": row.name,
        "depth": {state: getattr(row, f"n_{state}") for state in COUNTED},
        "due_at": row.due_at,
        "is_suspended": row.is_suspended(timezone.now()),
        "suspended_until": row.suspended_until,
        "suspended_reason": row.suspended_reason,
    }


def _site(site: Site) -> dict[str, Any]:
    holds = site.backoff_until is not None and site.backoff_until > timezone.now()
    backoff = {
        "class": site.backoff_class,
        "reply": site.backoff_reply,
        "since": site.backoff_since,
        "until": site.backoff_until,
    }
    return {
        "name": site.name,
        "route": site.route,
        "hosts": site.hosts,
        "backoff": backoff if holds else None,
    }


def _last_errors(row: RecipientDomain) -> list[dict[str, Any]]:
    failed = Delivery.objects.filter(domain=row, state__among=(State.DEFERRED, State.BOUNCED, State.EXPIRED))
    return [
        {
            "delivery_id": each.pk,
            "at": each.last_attempt_at,
            "state": each.state,
            "class": each.last_class,
            "reply": each.last_reply,
            "host": each.last_host,
        }
        for each in failed.exclude(last_class="").order_by("-id")[:_LAST_ERRORS]
    ]
