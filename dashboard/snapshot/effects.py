"""What rules do, for people: one value for page and API. A sentence says what follows, the reply says why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from dashboard.snapshot.board import explained
from dashboard.snapshot.links import deliveries, domain_page, quoted, site_page
from queueapp.models import HOLDS, Effect, RecipientDomain, RuleAction, RuleScope, Site
from queueapp.models.matching import CAMPAIGN_TAG

MOST = 200
_IN_STRIP = 3
Row = dict[str, Any]
_LOOKS = {
    RuleAction.SLOW: ("warning", "speedometer2", "slowed down"),
    RuleAction.OTHER_SOURCE: ("warning", "arrow-right", "other source"),
    RuleAction.SUSPEND: ("danger", "stop-circle", "suspended"),
    RuleAction.HOLD_CAMPAIGN: ("danger", "pause-circle", "held"),
    RuleAction.STOP_SENDER: ("danger", "pause-circle", "held"),
}
_KEYS = {RuleScope.LOGIN: "login", RuleScope.SENDER: "from"}


def holding(now: datetime, limit: int = MOST) -> tuple[list[Row], int]:
    """Those that hold, the newest first, and how many there are."""
    rows = Effect.objects.open(now)
    return shown(rows.order_by("-id")[:limit], now), rows.count()


def live(now: datetime) -> dict[str, Any]:
    """For the snapshot: how many hold, and where they are shown."""
    return {"n": Effect.objects.open(now).count(), "url": reverse("rules")}


def strip() -> dict[str, Any]:
    """What holds, in a line or three."""
    found, count = holding(timezone.now(), _IN_STRIP)
    return {"effects": found, "count": count, "n_more": max(count - _IN_STRIP, 0)}


def over(limit: int) -> QuerySet[Effect]:
    """The last ones that are over."""
    return Effect.objects.filter(ended_at__isnull=False).order_by("-id")[:limit]


def of_site(pk: int, now: datetime) -> list[Row]:
    """What holds there; pairs are told by their suspensions."""
    rows = Effect.objects.open(now).filter(site=pk).exclude(scope=RuleScope.PAIR)
    return shown(rows.order_by("-id")[:MOST], now)


def of_domain(row: RecipientDomain, now: datetime) -> list[Row]:
    """What holds for it and for its site."""
    wanted = Q(domain=row.pk) | (Q(site=row.site_id) if row.site_id else Q(pk__in=[]))
    return shown(Effect.objects.open(now).filter(wanted).order_by("-id")[:MOST], now)


def shown(rows: QuerySet[Effect], now: datetime) -> list[Row]:
    return [one(row, now) for row in rows.select_related("rule", "site", "source", "domain")]


def one(row: Effect, now: datetime) -> Row:
    is_open, search = row.is_open(now), _search(row)
    return {
        "id": row.pk,
        "rule": row.rule_name,
        "rule_id": row.rule_id,
        "rule_url": reverse("rule", args=[row.rule_id]) if row.rule_id else "",
        "action": row.action,
        "look": dict(zip(("tone", "icon", "word"), _LOOKS[RuleAction(row.action)], strict=True)),
        "scope": row.scope,
        "key": row.key,
        "label": row.label,
        "url": _url(row),
        "sentence": sentence(row),
        "rate": row.rate,
        "since": row.since,
        "until": row.until,
        "n": row.n,
        "n_hits": row.n_hits,
        "n_held": row.n_held,
        "is_over": not is_open,
        "ended_at": row.ended_at or (None if is_open else row.until),
        "lifted_at": row.lifted_at,
        "lifted_by": row.lifted_by,
        "owner_to": row.owner_to,
        "lift_url": reverse("effect-lift", args=[row.pk]),
        "holds": row.action in HOLDS,
        "q": f"state:held {search}" if search else "",
        "held_url": deliveries(f"state:held {search}") if search else "",
        "is_gathering": is_open and row.below is not None and row.n_passes == 0,
        **explained(row.reply_class, row.reply),
    }


def sentence(row: Effect) -> str:
    """What follows from it, in words."""
    if row.scope == RuleScope.PAIR:
        source = row.source.name if row.source else "the default source"
        site = row.site.name if row.site else "?"
        if row.action == RuleAction.OTHER_SOURCE:
            return f"{source} is not used at {site} as long as another source may be"
        return f"nothing goes to {site} by {source}"
    if row.action == RuleAction.SLOW:
        return f"at most {rate_in_words(row.rate)} go to {row.label}"
    if row.action == RuleAction.SUSPEND:
        return f"nothing goes to {row.label}"
    what = {RuleScope.LOGIN: "the login", RuleScope.SENDER: "the sender"}.get(
        RuleScope(row.scope), "the campaign"
    )
    waited = f"{row.n_held:,} that waited" if row.n_held else "what waits"
    return f"mail of {what} {_name(row)} is held: what comes in, and {waited}"


def _name(row: Effect) -> str:
    return row.value.removeprefix(CAMPAIGN_TAG)


def rate_in_words(rate: str) -> str:
    """`60/m` as 60 mails a minute."""
    n, _, unit = rate.partition("/")
    words = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
    return f"{n} {'mail' if n == '1' else 'mails'} a {words.get(unit, unit)}"


def _search(row: Effect) -> str:
    """What its mail is found by."""
    if row.action not in HOLDS:
        return ""
    if row.scope == RuleScope.CAMPAIGN:
        return f"campaign:{quoted(_name(row))}"
    return f"{_KEYS[RuleScope(row.scope)]}:{quoted(row.value)}"


def _url(row: Effect) -> str:
    """Where its target is shown."""
    if row.domain_id and isinstance(row.domain, RecipientDomain):
        return domain_page(row.domain.name)
    if row.site_id and isinstance(row.site, Site):
        return site_page(row.site_id)
    search = _search(row)
    return deliveries(search) if search else ""
