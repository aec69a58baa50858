"""What became of a message's recipients: a timeline for each of a few, a list by state where there are many.

A page of them is read, whatever the message has. The list goes by the delivery's number, so a page of it
stays what it is while states change.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.db.models import Count
from django.http import QueryDict
from django.urls import reverse

from dashboard.pages.timeline import timelines
from queueapp.mail.classify import CLASSES
from queueapp.models import OPEN, Delivery, Message, State

FEW = 5
ROWS = 50
_MOST_TEXT = 200
_DIGITS = 18


def recipients_of(message: Message, asked: QueryDict) -> dict[str, Any]:
    """`asked`: `delivery` (the one to show whole), `state`, `to` (a part of the address), `after`."""
    counts = _counts(message)
    n = sum(n for _, n in counts)
    found: dict[str, Any] = {
        "counts": counts,
        "n_deliveries": n,
        "is_open": any(state in OPEN for state, _ in counts),
        "shown": timelines(_whole(message, asked, is_few=n <= FEW)),
    }
    return found if n <= FEW else {**found, **_list(message, asked)}


def _counts(message: Message) -> list[tuple[str, int]]:
    rows = message.deliveries.order_by().values_list("state").annotate(n=Count("id"))
    by_state = dict(rows)
    return [(state.value, by_state[state]) for state in State if state in by_state]


def _whole(message: Message, asked: QueryDict, *, is_few: bool) -> list[Delivery]:
    rows = message.deliveries.select_related("domain", "route").order_by("id")
    if is_few:
        return list(rows)
    return list(rows.filter(pk=_number(asked.get("delivery", ""))))


def _list(message: Message, asked: QueryDict) -> dict[str, Any]:
    state, to = asked.get("state", ""), asked.get("to", "").replace("\0", "").strip()[:_MOST_TEXT]
    rows = message.deliveries.order_by("id").filter(pk__gt=_number(asked.get("after", "")))
    if state in State.values:
        rows = rows.filter(state=state)
    if to:
        rows = rows.filter(recipient__icontains=to)
    found = list(rows[: ROWS + 1])
    kept = {name: value for name, value in (("state", state), ("to", to)) if value}
    here = reverse("message", args=[message.pk])
    page = found[:ROWS]
    return {
        "rows": [_row(each, here, kept) for each in page],
        "is_list": True,
        "state": state,
        "to": to,
        "tabs": [(name, n, f"{here}?{urlencode({**kept, 'state': name})}") for name, n in _counts(message)],
        "all_url": f"{here}?{urlencode({'to': to})}" if to else here,
        "first_url": f"{here}?{urlencode(kept)}" if _number(asked.get("after", "")) else "",
        "next_url": f"{here}?{urlencode({**kept, 'after': page[-1].pk})}" if len(found) > ROWS else "",
    }


def _row(delivery: Delivery, here: str, kept: dict[str, str]) -> dict[str, Any]:
    info = CLASSES.get(delivery.last_class)
    url = f"{here}?{urlencode({**kept, 'delivery': delivery.pk})}#delivery-{delivery.pk}"
    return {"delivery": delivery, "url": url, "sentence": info.sentence if info else ""}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0
