"""Sites and domains with their limits: read them, change them, stop and resume (access/limits.py acts)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from dashboard.api.board import BoardOut, told
from dashboard.api.errors import Error
from dashboard.api.keys import Asks, Needs, actor
from dashboard.snapshot import board as shown_rows
from queueapp import conf
from queueapp.access import limits
from queueapp.models import RecipientDomain, Site, SourceDay, Suspension, board
from queueapp.models.domain import COUNTED

router = Router(tags=["limits"])
_REFUSALS = {(401, 403, 404, 422, 503): Error}


class Strict(Schema):
    model_config = ConfigDict(extra="forbid")


class SitesIn(Schema):
    q: str = Field("", max_length=255, description="A part of the name.")
    limit: int = Field(100, ge=1, le=500)
    cursor: int = Field(0, ge=0, lt=2**63, description="`next` of the page before.")


class LimitOut(Schema):
    """`value` holds now; `is_own`: set for this one, and not by the settings. null: no limit."""

    value: int | str | None
    is_own: bool


class SiteRow(BoardOut):
    id: int
    depth: dict[str, int]
    n_domains: int
    route: str
    limits: dict[str, LimitOut]
    next_at: datetime | None
    is_suspended: bool
    suspended_until: datetime | None
    suspended_reason: str
    backoff: dict[str, Any] | None
    n_suspensions: int


class SitesOut(Schema):
    items: list[SiteRow]
    next: int | None
    count: int
    count_is_exact: bool


class SuspensionOut(Schema):
    id: int
    source: str
    source_id: int | None
    site: str
    site_id: int
    reply_class: str = Field(alias="class")
    reply: str
    since: datetime
    until: datetime
    n: int
    is_over: bool
    lifted_at: datetime | None
    lifted_by: str


class SiteDetail(SiteRow):
    hosts: list[Any]
    domains: list[str]
    suspensions: list[SuspensionOut]
    warmups: list[dict[str, Any]]


class SiteLimitsIn(Strict):
    """A field that is not there stays; null is what the settings say."""

    max_sessions: int | None = Field(None, ge=1)
    max_mails: int | None = Field(None, ge=1)
    rate: str | None = Field(None, max_length=16)


class DomainLimitsIn(Strict):
    rate: str | None = Field(None, max_length=16)
    retry_first: float | None = None
    retry_cap: float | None = None
    max_age: float | None = None


class DomainLimitsOut(Schema):
    name: str
    rate: LimitOut
    retry_first: LimitOut
    retry_cap: LimitOut
    max_age: LimitOut
    next_at: datetime | None
    site_id: int | None
    route: str | None = Field(description="The route that was chosen for it; null: by the patterns.")
    is_suspended: bool
    suspended_until: datetime | None
    suspended_reason: str


class SuspendIn(Strict):
    reason: str = Field("", max_length=255)
    until: datetime | None = None


class DoneOut(Schema):
    """How many deliveries are due by that."""

    n: int


@router.get("/sites", auth=Needs("read"), response={200: SitesOut, (401, 403, 422, 503): Error},
            by_alias=True)  # fmt: skip
def sites(request: HttpRequest, asked: Query[SitesIn]) -> dict[str, Any]:
    """All sites that mail ever went to, as the board shows them, with their limits."""
    now = timezone.now()
    rows = board.sites(now)
    wanted = rows.filter(name__contains=asked.q.strip().lower()) if asked.q.strip() else rows
    items = list(wanted.filter(pk__gt=asked.cursor).order_by("pk")[: asked.limit + 1])
    shown = items[: asked.limit]
    counts = Counter(
        Suspension.objects.filter(site__in=[row.pk for row in shown], until__gt=now).values_list(
            "site", flat=True
        )
    )
    return {
        "items": _rows(shown, counts, now),
        "next": shown[-1].pk if len(items) > asked.limit else None,
        "count": wanted.count(),
        "count_is_exact": True,
    }


@router.get("/sites/{site_id}", auth=Needs("read"), response={200: SiteDetail, **_REFUSALS}, by_alias=True)
def site(request: HttpRequest, site_id: int) -> dict[str, Any]:
    """One site: its limits and what of them is used, back-off, suspensions, warm-ups of today."""
    return _detail(limits.site_named(site_id))


@router.patch(
    "/sites/{site_id}/limits", auth=Asks("admin"), response={200: SiteDetail, **_REFUSALS}, by_alias=True
)
def site_limits(request: HttpRequest, site_id: int, asked: SiteLimitsIn) -> dict[str, Any]:
    """Change the limits of a site. Runners follow within 5 seconds."""
    changes = asked.dict(exclude_unset=True)
    return _detail(limits.set_site_limits(actor(request), site_id, changes))


@router.post("/sites/{site_id}/lift", auth=Asks("operate"), response={200: DoneOut, **_REFUSALS})
def lift_site(request: HttpRequest, site_id: int) -> dict[str, int]:
    """End back-off and suspensions of a site now; what waited for them is due."""
    return {"n": limits.lift_site(actor(request), site_id)}


@router.post("/sites/{site_id}/suspend", auth=Asks("operate"), response={200: SiteDetail, **_REFUSALS},
             by_alias=True)  # fmt: skip
def suspend_site(request: HttpRequest, site_id: int, asked: SuspendIn | None = None) -> dict[str, Any]:
    """Claim nothing for any domain of the site until it is resumed, or until a time."""
    reason, until = (asked.reason, asked.until) if asked else ("", None)
    return _detail(limits.suspend_site(actor(request), site_id, reason, until))


@router.post("/sites/{site_id}/resume", auth=Asks("operate"), response={200: SiteDetail, **_REFUSALS},
             by_alias=True)  # fmt: skip
def resume_site(request: HttpRequest, site_id: int) -> dict[str, Any]:
    """Send to the site again; a domain that was suspended by itself stays so."""
    return _detail(limits.resume_site(actor(request), site_id))


@router.get("/domains/{name}/limits", auth=Needs("read"), response={200: DomainLimitsOut, **_REFUSALS})
def domain_limits(request: HttpRequest, name: str) -> dict[str, Any]:
    """Rate and retry times of a recipient domain, in seconds, and its suspension."""
    return _domain(limits.domain_named(name))


@router.patch("/domains/{name}/limits", auth=Asks("admin"), response={200: DomainLimitsOut, **_REFUSALS})
def change_domain_limits(request: HttpRequest, name: str, asked: DomainLimitsIn) -> dict[str, Any]:
    """Change them; a field that is not there stays, null is what the settings say."""
    changes = asked.dict(exclude_unset=True)
    return _domain(limits.set_domain_limits(actor(request), name, changes))


@router.post("/domains/{name}/suspend", auth=Asks("operate"), response={200: DomainLimitsOut, **_REFUSALS})
def suspend(request: HttpRequest, name: str, asked: SuspendIn | None = None) -> dict[str, Any]:
    """Claim nothing for the domain until it is resumed, or until a time."""
    reason, until = (asked.reason, asked.until) if asked else ("", None)
    return _domain(limits.suspend_domain(actor(request), name, reason, until))


@router.post("/domains/{name}/resume", auth=Asks("operate"), response={200: DomainLimitsOut, **_REFUSALS})
def resume(request: HttpRequest, name: str) -> dict[str, Any]:
    """Send to the domain again, at the pace of its site."""
    return _domain(limits.resume_domain(actor(request), name))


@router.get("/suspensions", auth=Needs("read"), response={200: list[SuspensionOut], (401, 403, 503): Error},
            by_alias=True)  # fmt: skip
def suspensions(request: HttpRequest, all: bool = False) -> list[dict[str, Any]]:
    """Sources that a site has blocked, those that hold; with `all=true` also the last ones that are over."""
    rows = Suspension.objects.select_related("source", "site").order_by("-until")
    wanted = Q() if all else Q(until__gt=timezone.now())
    return [_suspension(row) for row in rows.filter(wanted)[:500]]


@router.post("/suspensions/{suspension_id}/lift", auth=Asks("operate"), response={200: DoneOut, **_REFUSALS})
def lift_suspension(request: HttpRequest, suspension_id: int) -> dict[str, int]:
    """Use the source at the site again; what waited for it is due."""
    return {"n": limits.lift_suspension(actor(request), suspension_id)}


def _rows(found: list[Any], n_suspensions: Mapping[int, int], now: datetime) -> list[dict[str, Any]]:
    """`found` as models/board.py gives them."""
    told_ = [told(row) for row in shown_rows.of_sites(found, now)]
    return [
        {**each, **_site(row, n_suspensions.get(row.pk, 0)), "depth": _depth(row), "n_domains": row.n_domains}
        for row, each in zip(found, told_, strict=True)
    ]


def _depth(row: Any) -> dict[str, int]:
    return {state: getattr(row, f"n_{state}") for state in COUNTED}


def _site(row: Site, n_suspensions: int) -> dict[str, Any]:
    current, now = conf.current(), timezone.now()
    backs_off = row.backoff_until is not None and row.backoff_until > now
    return {
        "id": row.pk,
        "name": row.name,
        "route": row.route,
        "limits": {
            "max_sessions": _limit(row.max_sessions, current.site_sessions),
            "max_mails": _limit(row.max_mails, current.session_mails),
            "rate": _rate(row.rate, current.site_rate),
        },
        "next_at": row.next_at if row.next_at and row.next_at > now else None,
        "is_suspended": row.is_suspended(now),
        "suspended_until": row.suspended_until,
        "suspended_reason": row.suspended_reason,
        "backoff": {
            "class": row.backoff_class, "reply": row.backoff_reply,
            "since": row.backoff_since, "until": row.backoff_until,
        } if backs_off else None,
        "n_suspensions": n_suspensions,
    }  # fmt: skip


def _detail(row: Site) -> dict[str, Any]:
    held = Suspension.objects.filter(site=row, until__gt=timezone.now()).select_related("source", "site")
    shown = [_suspension(each) for each in held]
    names = RecipientDomain.objects.filter(site=row).order_by("name").values_list("name", flat=True)
    now = timezone.now()
    [told_] = _rows(list(board.sites(now).filter(pk=row.pk)), {row.pk: len(shown)}, now)
    return {
        **told_,
        "hosts": row.hosts,
        "domains": list(names[:100]),
        "suspensions": shown,
        "warmups": _warmups(row),
    }


def _warmups(row: Site) -> list[dict[str, Any]]:
    today = timezone.now().date()
    days = SourceDay.objects.filter(site=row, day=today).select_related("source")
    return [{"source": each.source.name, "n": each.n, "cap": each.source.daily_cap(today)} for each in days]


def _suspension(row: Suspension) -> dict[str, Any]:
    return {
        "id": row.pk, "source": row.source.name if row.source else "default", "source_id": row.source_id,
        "site": row.site.name, "site_id": row.site_id, "class": row.reply_class, "reply": row.reply,
        "since": row.since, "until": row.until, "n": row.n, "is_over": row.until <= timezone.now(),
        "lifted_at": row.lifted_at, "lifted_by": row.lifted_by,
    }  # fmt: skip


def _domain(row: RecipientDomain) -> dict[str, Any]:
    current, now = conf.current(), timezone.now()
    times = {
        name: _limit(_seconds(getattr(row, name)), _seconds(getattr(current, name)))
        for name in ("retry_first", "retry_cap", "max_age")
    }
    return {
        "name": row.name,
        "rate": _rate(row.rate, current.domain_rate),
        **times,
        "next_at": row.next_at if row.next_at and row.next_at > now else None,
        "site_id": row.site_id,
        "route": str(row.route) if row.route else None,
        "is_suspended": row.is_suspended(now),
        "suspended_until": row.suspended_until,
        "suspended_reason": row.suspended_reason,
    }


def _limit(own: Any, otherwise: Any) -> dict[str, Any]:
    return {"value": otherwise if own is None else own, "is_own": own is not None}


def _rate(own: str, otherwise: conf.Rate | None) -> dict[str, Any]:
    value = own or (str(otherwise) if otherwise else None)
    return {"value": None if value == "none" else value, "is_own": bool(own)}


def _seconds(value: Any) -> int | None:
    return None if value is None else int(value.total_seconds())
