"""The board: domains or sites with depth by age, state and its cause, what they take, and how fast.

One value for page and API, so that both tell the same. Promises: a page costs a fixed number of
queries, of which none reads the deliveries of a domain with more than a thousand (stats/ages.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, Subquery
from django.utils import timezone
from redis.exceptions import RedisError

from dashboard.filters import Mistake, Wrong
from dashboard.snapshot import paging
from dashboard.snapshot.links import domain_page, open_at, open_for, site_page
from queueapp import conf, events
from queueapp.engine import tokens
from queueapp.mail.classify import CLASSES
from queueapp.models import Delivery, RecipientDomain, Site, Suspension
from queueapp.models.ages import AGES
from queueapp.stats import ages

Row = dict[str, Any]
_WORDS = {"d": "delivered", "w": "deferred", "b": "bounced"}


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Row] = field(default_factory=list)
    next: str | None = None
    count: int = 0
    error: Mistake | None = None


def page(kind: str, params: Mapping[str, Any], now: datetime | None = None, *, state: str = "open") -> Page:
    """`kind`: domain or site; parameters q, state, order, limit and cursor."""
    now = now or timezone.now()
    try:
        found = paging.find(kind, paging.read(params, state=state), now)
    except Wrong as wrong:
        return Page(error=wrong.mistake)
    make = of_sites if kind == "site" else of_domains
    return Page(make(found.rows, now), found.next, found.count)


def of_domains(rows: list[RecipientDomain], now: datetime) -> list[Row]:
    """`rows` as models/board.py gives them."""
    shapes = ages.of_domains(rows, now)
    site_ids = sorted({row.site_id for row in rows if row.site_id})
    sessions, blocks, replies = _sessions(site_ids), _blocks(site_ids, now), _replies(rows)
    return [
        {
            **_shared(row, now, shapes.get(row.pk)),
            "url": domain_page(row.name),
            "open_url": open_for(row.name),
            "site": row.site.name if row.site else "",
            "site_url": site_page(row.site.pk) if row.site else "",
            "is_suspended": row.is_suspended(now),
            **_why(row, row.site, blocks.get(row.site_id or 0), now, replies.get(row.pk, ("", ""))),
            **_capacity(row.site, sessions),
        }
        for row in rows
    ]


def of_sites(rows: list[Any], now: datetime) -> list[Row]:
    shapes = ages.of_sites(rows, now)
    sessions, blocks = _sessions([row.pk for row in rows]), _blocks([row.pk for row in rows], now)
    return [
        {
            **_shared(row, now, shapes.get(row.pk)),
            "url": site_page(row.pk),
            "open_url": open_at(row.name),
            "n_domains": row.n_domains,
            "n_suspended": row.n_suspended,
            "is_suspended": row.is_suspended(now),
            **_why(None, row, blocks.get(row.pk), now),
            **_capacity(row, sessions),
        }
        for row in rows
    ]


def _shared(row: Any, now: datetime, shape: ages.Shape | None) -> Row:
    figures = getattr(row, "figures", None)
    depth = ("n_open", "n_queued", "n_sending", "n_deferred", "n_held", "n_waiting")
    return {
        "id": row.pk,
        "name": row.name,
        "state": row.state,
        **{name: getattr(row, name) for name in depth},
        "ages": shape.ages if shape else None,
        "ages_at": shape.at if shape else None,
        "outcomes": figures.outcomes if figures else "",
        "outcomes_text": told(figures.outcomes if figures else ""),
        "per_minute": figures.per_minute if figures else 0.0,
        "median_s": figures.median_s if figures else None,
        "p95_s": figures.p95_s if figures else None,
        "delivered_at": figures.delivered_at if figures else None,
    }


def told(outcomes: str) -> str:
    """The strip of last outcomes in words."""
    if not outcomes:
        return "not tried yet"
    counts = [(outcomes.count(letter), word) for letter, word in _WORDS.items()]
    return " · ".join(f"{n} {word}" for n, word in counts if n)


def _why(
    row: RecipientDomain | None,
    site: Any,
    block: Suspension | None,
    now: datetime,
    reply: tuple[str, str] = ("", ""),
) -> Row:
    """Why mail waits: `cause` in our words, `reply` in the receiver's; since when, and what comes next."""
    owner: Any = row if row is not None else site
    found = {
        "since": _since(row, site, block, owner.state),
        "next_at": _next(row, site, block, owner.state, owner.due_at, now),
    }
    if owner.state == "suspended":
        if row is not None and row.is_suspended(now):
            cause = row.suspended_reason or "Suspended by a person."
            return {"reply_class": "", "cause": cause, "reply": "", **found}
        if site is not None and site.is_suspended(now):
            told = (
                f"Its site is suspended: {site.suspended_reason}"
                if row is not None
                else site.suspended_reason
            )
            return {"reply_class": "", "cause": told or "Suspended by a person.", "reply": "", **found}
        if block is not None:
            return {**explained(block.reply_class, block.reply), **found}
        return {"reply_class": "", "cause": "All its domains are suspended.", "reply": "", **found}
    if owner.state in ("dead", "backing_off") and site is not None:
        return {**explained(site.backoff_class, site.backoff_reply), **found}
    if owner.n_deferred == 0:
        paced = owner.state == "throttled"
        return {"reply_class": "", "cause": _PACED if paced else "", "reply": "", **found}
    figures = getattr(owner, "figures", None)
    if figures is not None and figures.error_class:
        return {**explained(figures.error_class, figures.error_reply), **found}
    return {**explained(*reply), **found}


_PACED = "The rate that is set for it has no room at the moment."


def _since(row: RecipientDomain | None, site: Any, block: Suspension | None, state: str) -> datetime | None:
    if state == "suspended":
        by_person = row is not None and row.suspended_at is not None
        if by_person and row is not None:
            return row.suspended_at
        if site is not None and site.suspended_at is not None:
            return site.suspended_at
        return block.since if block else None
    return site.backoff_since if state in ("dead", "backing_off") and site is not None else None


def _next(
    row: RecipientDomain | None,
    site: Any,
    block: Suspension | None,
    state: str,
    due_at: datetime | None,
    now: datetime,
) -> datetime | None:
    if state == "suspended":
        if row is not None and row.is_suspended(now):
            return row.suspended_until
        if site is not None and site.is_suspended(now):
            return site.suspended_until
        return block.until if block else None
    if state in ("dead", "backing_off") and site is not None and site.backoff_until:
        return site.backoff_until if site.backoff_until > now else None
    times = [each for each in (due_at, row and row.next_at, site and site.next_at) if each]
    last = max(times, default=None)
    return last if last and last > now else None


def explained(reply_class: str, reply: str) -> Row:
    info = CLASSES.get(reply_class)
    return {"reply_class": reply_class, "cause": info.sentence if info else "", "reply": reply}


def _replies(rows: list[Any]) -> dict[int, tuple[str, str]]:
    """Domain to class and reply of what it deferred, where the figures do not know it yet: in the first
    seconds. Of few deliveries only; for many the figures come soon."""
    unknown = [
        row.pk
        for row in rows
        if row.n_deferred and row.n_waiting <= ages.AT_ONCE and getattr(row, "figures", None) is None
    ]
    if not unknown:
        return {}
    tried = Delivery.objects.waiting().filter(domain=OuterRef("pk")).exclude(last_class="")
    first = tried.order_by("-priority", "next_attempt_at").values("pk")[:1]
    firsts = RecipientDomain.objects.filter(pk__in=unknown).values_list(Subquery(first), flat=True)
    fields = ("domain_id", "last_class", "last_code", "last_enhanced", "last_text")
    found = Delivery.objects.filter(pk__in=[pk for pk in firsts if pk]).only(*fields)
    return {each.domain_id: (each.last_class, each.last_reply) for each in found}


def _capacity(site: Site | None, sessions: dict[int, int] | None) -> Row:
    if site is None:
        return {"sessions": None, "max_sessions": None}
    most = site.max_sessions or conf.current().site_sessions
    return {"sessions": sessions.get(site.pk, 0) if sessions is not None else None, "max_sessions": most}


def _sessions(site_ids: list[int]) -> dict[int, int] | None:
    """Of all runners now; None while Redis is away."""
    if events.hangs():
        return None
    try:
        return tokens.in_use(site_ids)
    except RedisError as error:
        events.note(error)
        return None


def _blocks(site_ids: list[int], now: datetime) -> dict[int, Suspension]:
    """The suspension of each site that holds longest."""
    held = Suspension.objects.filter(site__in=site_ids, until__gt=now).order_by("until")
    return {each.site_id: each for each in held}


def buckets() -> list[str]:
    """Heads of the columns of ages."""
    return [*(str(under) for under in AGES), f"{AGES[-1]}+"]
