"""The recipient domains with the most open deliveries: how each does, why, and what comes next."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dashboard.snapshot.links import open_for
from queueapp.mail.classify import CLASSES
from queueapp.models import Delivery, RecipientDomain

TOP = 20
_LOOK_AT = 20  # waiting rows of a domain that are searched for a reply

Row = dict[str, Any]


def busiest(now: datetime) -> list[Row]:
    found = RecipientDomain.objects.select_related("site").clogged_first()[:TOP]
    return [_row(domain, now) for domain in found if domain.n_open]  # type: ignore[attr-defined]


def _row(domain: RecipientDomain, now: datetime) -> Row:
    state = state_of(domain, now)
    return {
        "id": domain.pk,
        "name": domain.name,
        "url": open_for(domain.name),
        "site": domain.site.name if domain.site and domain.site.name != domain.name else "",
        "state": state,
        "n_open": domain.n_open,  # type: ignore[attr-defined]
        "n_queued": domain.n_queued,
        "n_sending": domain.n_sending,
        "n_deferred": domain.n_deferred,
        "n_held": domain.n_held,
        **_cause(domain, state),
        **_times(domain, state, now),
    }


def state_of(domain: RecipientDomain, now: datetime) -> str:
    """suspended | backing_off | flowing | held | waiting"""
    if domain.is_suspended(now):
        return "suspended"
    if domain.site and domain.site.backoff_until and domain.site.backoff_until > now:
        return "backing_off"
    if domain.n_sending or (domain.due_at and domain.due_at <= now):
        return "flowing"
    return "waiting" if domain.n_queued + domain.n_deferred else "held"


def _cause(domain: RecipientDomain, state: str) -> Row:
    """Why mail waits: `cause` in our words, `reply` in the receiver's."""
    if state == "suspended":
        return {"reply_class": "", "cause": domain.suspended_reason or "Suspended by a person.", "reply": ""}
    if state == "backing_off" and domain.site:
        return _explained(domain.site.backoff_class, domain.site.backoff_reply)
    return _explained(*_last_reply(domain))


def _explained(reply_class: str, reply: str) -> Row:
    info = CLASSES.get(reply_class)
    return {"reply_class": reply_class, "cause": info.sentence if info else "", "reply": reply}


def _last_reply(domain: RecipientDomain) -> tuple[str, str]:
    """Of the waiting delivery that is next in turn and has been tried."""
    if not domain.n_deferred:
        return "", ""
    waiting = Delivery.objects.filter(domain=domain).waiting()
    fields = ("last_class", "last_code", "last_enhanced", "last_text")
    for row in waiting.order_by("-priority", "next_attempt_at").only(*fields)[:_LOOK_AT]:
        if row.last_class:
            return row.last_class, row.last_reply
    return "", ""


def _times(domain: RecipientDomain, state: str, now: datetime) -> Row:
    """`since`: when this state began, where it is known; `next_at`: when something happens again."""
    if state == "suspended":
        return {"since": domain.suspended_at, "next_at": domain.suspended_until}
    if state == "backing_off" and domain.site:
        return {"since": domain.site.backoff_since, "next_at": domain.site.backoff_until}
    return {"since": None, "next_at": domain.due_at if domain.due_at and domain.due_at > now else None}
