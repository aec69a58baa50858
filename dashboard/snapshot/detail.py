"""One domain, or one site: its row of the board, its limits, what suspends it, its last errors."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone

from dashboard.snapshot import board as rows
from dashboard.snapshot import effects
from dashboard.snapshot.links import deliveries, domain_page, open_for, quoted
from queueapp import conf
from queueapp.models import AuditEvent, Delivery, RecipientDomain, Site, State, Suspension, board
from queueapp.models.ages import AGES

LAST_ERRORS = 20
MOST_DOMAINS = 100
_FAILED = (State.DEFERRED, State.BOUNCED, State.EXPIRED)

Row = dict[str, Any]


def domain(name: str, now: datetime | None = None) -> Row | None:
    """None where nobody ever wrote to it."""
    now = now or timezone.now()
    found = board.domains(now).filter(name=name.lower()).first() if name.isprintable() else None
    if found is None:
        return None
    [row] = rows.of_domains([found], now)
    return {
        **row,
        "depth": _depth(found, f"domain:{quoted(found.name)}"),
        "shape": _shape(row, f"domain:{quoted(found.name)}"),
        "suspended_by": _by("domain.suspend", found.name) if row["is_suspended"] else "",
        "limits": _domain_limits(found),
        "way": str(found.route or ""),
        "errors": _errors(found),
        "effects": effects.of_domain(found, now),
        "all_url": deliveries(f"domain:{quoted(found.name)}"),
        "scope": found.pk,
    }


def site(pk: int, now: datetime | None = None) -> Row | None:
    now = now or timezone.now()
    found = board.sites(now).filter(pk=pk).first()
    if found is None:
        return None
    [row] = rows.of_sites([found], now)
    held = Suspension.objects.filter(site=found, until__gt=now).select_related("source").order_by("until")
    fullest = board.domains(now).filter(site=found).order_by("-n_open", "name")[:MOST_DOMAINS]
    return {
        **row,
        "depth": _depth(found, f"site:{quoted(found.name)}"),
        "shape": _shape(row, f"site:{quoted(found.name)}"),
        "suspensions": [_suspension(each) for each in held],
        "effects": effects.of_site(pk, now),
        "limits": _site_limits(found),
        "hosts": found.hosts[:50],
        "route": found.route,
        "suspended_by": _by("site.suspend", found.name) if row["is_suspended"] else "",
        "domains": [
            {"name": each.name, "url": domain_page(each.name), "open_url": open_for(each.name),
             "n_open": each.n_open, "state": each.state}
            for each in fullest
        ],
        "all_url": deliveries(f"site:{quoted(found.name)}"),
        "scope": -found.pk,
    }  # fmt: skip


def _depth(found: Any, search: str) -> list[Row]:
    return [
        {"state": each.value, "n": getattr(found, f"n_{each}"), "url": deliveries(f"{search} state:{each}")}
        for each in State
        if each != State.DELETED or found.n_deleted
    ]


def _shape(row: Row, search: str) -> list[Row]:
    """Each bucket of ages with the list behind it."""
    if row["ages"] is None:
        return []
    made, before = [], 0
    for n, under in zip(row["ages"], (*AGES, None), strict=True):
        older = f" age>{before}m" if before else ""
        younger = f" age<{under}m" if under else ""
        url = deliveries(f"{search} state:queued state:deferred{older}{younger}")
        made.append({"from": before, "under": under, "n": n, "url": url})
        before = under or before
    return made


def _errors(found: RecipientDomain) -> list[Row]:
    failed = Delivery.objects.filter(domain=found, state__among=_FAILED).exclude(last_class="")
    reply = ("last_class", "last_code", "last_enhanced", "last_text", "last_host")
    fields = ("last_attempt_at", "state", "recipient", "message_id", *reply)
    return [
        {
            "at": each.last_attempt_at,
            "state": each.state,
            "recipient": each.recipient,
            "url": f"{reverse('message', args=[each.message_id])}#delivery-{each.pk}",
            "host": each.last_host,
            **rows.explained(each.last_class, each.last_reply),
        }
        for each in failed.order_by("-id").only(*fields)[:LAST_ERRORS]
    ]


def _by(action: str, target: str) -> str:
    """Who did that last."""
    found = AuditEvent.objects.filter(action=action, target=target, is_refused=False).order_by("-id").first()
    return found.actor if found else ""


def _suspension(row: Suspension) -> Row:
    return {
        "id": row.pk,
        "source": row.source.name if row.source else "the default source",
        "since": row.since,
        "until": row.until,
        "n": row.n,
        "lift_url": reverse("suspension-lift", args=[row.pk]),
        **rows.explained(row.reply_class, row.reply),
    }


def _domain_limits(row: RecipientDomain) -> list[Row]:
    current = conf.current()
    return [
        _limit("Rate", row.rate, current.domain_rate or "none", "MAILWEIR_DOMAIN_RATE", row.next_at),
        _limit("First retry after", row.retry_first, current.retry_first, "MAILWEIR_RETRY_FIRST"),
        _limit("Longest wait", row.retry_cap, current.retry_cap, "MAILWEIR_RETRY_CAP"),
        _limit("Give up after", row.max_age, current.max_age, "MAILWEIR_MAX_AGE"),
    ]


def _site_limits(row: Site) -> list[Row]:
    current = conf.current()
    return [
        _limit("Sessions at once", row.max_sessions, current.site_sessions, "MAILWEIR_SITE_SESSIONS"),
        _limit("Mails by one session", row.max_mails, current.session_mails, "MAILWEIR_SESSION_MAILS"),
        _limit("Rate", row.rate, current.site_rate or "none", "MAILWEIR_SITE_RATE", row.next_at),
    ]


def _limit(label: str, own: Any, otherwise: Any, setting: str, until: datetime | None = None) -> Row:
    """`until`: no mail goes before, because the rate has no room."""
    value = otherwise if own in (None, "") else own
    is_later = until is not None and until > timezone.now()
    return {
        "label": label,
        "value": value.total_seconds() if isinstance(value, timedelta) else str(value),
        "is_time": isinstance(value, timedelta),
        "is_own": own not in (None, ""),
        "setting": setting,
        "until": until if is_later else None,
    }
