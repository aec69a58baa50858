"""From the parameters of a request to a page of rows: for pages and API alike.

Promises: an order that is not on the list, a limit out of range or a cursor that we didn't make is
a Mistake with its field, never an exception and never a guess; the work of a page doesn't grow with
its number (a cursor says where the last one ended, so rows that come or go meanwhile are neither
shown twice nor skipped); counting stops at CAP, and `count_is_exact` says so.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from queueapp.grammar import GrammarError, parse
from queueapp.grammar import Query as Search
from queueapp.models import Delivery, RecipientDomain
from queueapp.models.counting import count
from queueapp.models.matching import condition_of

MOST = 500
CAP = 10_000
DEFAULT_ORDER = "-id"
# `age` is oldest first: ids are given in the order of acceptance, so no other index is needed.
ORDERS = ("-id", "id", "age", "-age", "next_attempt", "-next_attempt")
_ID_ORDER = {"-id": "-id", "id": "id", "age": "id", "-age": "-id"}
_MAX_CURSOR = 600
_LARGEST_ID = 2**63 - 1

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in which parameter; `position` and `length` say where in a search."""

    field: str
    text: str
    position: int = 0
    length: int = 0
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows in order. `next` is the cursor of the page behind, or None."""

    items: list[Row] = field(default_factory=list)
    next: str | None = None
    count: int = 0
    count_is_exact: bool = True
    query: Search | None = None
    error: Mistake | None = None


class _Wrong(Exception):
    def __init__(self, field: str, text: str) -> None:
        self.mistake = Mistake(field, text)


def page_of(params: Mapping[str, Any], now: datetime | None = None) -> Page[Delivery]:
    """Deliveries by `q`, `order`, `limit` and `cursor`, with message and domain joined in."""
    now = now or timezone.now()
    try:
        order = _one_of(str(params.get("order") or DEFAULT_ORDER), ORDERS)
        limit = _limit(params.get("limit"))
        after = _read_cursor(params.get("cursor"), order)
        search = parse(str(params.get("q") or ""))
        rows = Delivery.objects.filter(condition_of(search, now))
        sought = _in_order(rows, order, after).select_related("message", "domain")
        items = list(sought[: limit + 1])
        n, is_exact = count(search, now, CAP)
    except _Wrong as wrong:
        return Page(error=wrong.mistake)
    except GrammarError as error:
        return Page(error=Mistake("q", str(error), error.position, error.length, error.hint))
    next_ = _cursor(order, items[limit - 1]) if len(items) > limit else None
    return Page(items[:limit], next_, n, is_exact, search)


def _in_order(rows: QuerySet[Delivery], order: str, after: list[Any] | None) -> QuerySet[Delivery]:
    if order in _ID_ORDER:
        key = _ID_ORDER[order]
        if after:
            rows = rows.filter(**{"id__lt" if key == "-id" else "id__gt": _id(after)})
        return rows.order_by(key)
    # Rows that wait for nothing come last either way.
    column = F("next_attempt_at")
    is_down = order.startswith("-")
    if after:
        rows = rows.filter(_behind(after, is_down))
    first = column.desc(nulls_last=True) if is_down else column.asc(nulls_last=True)
    return rows.order_by(first, "-id")


def _behind(after: list[Any], is_down: bool) -> Q:
    """The rows behind (next attempt, id), where none come last and equal times go by id, newest first."""
    older = Q(id__lt=_id(after))
    if after[1] is None:
        return Q(next_attempt_at__isnull=True) & older
    at = _time(after[1])
    further = Q(next_attempt_at__lt=at) if is_down else Q(next_attempt_at__gt=at)
    return further | Q(next_attempt_at=at) & older | Q(next_attempt_at__isnull=True)


def _cursor(order: str, row: Delivery) -> str:
    at = row.next_attempt_at.isoformat() if row.next_attempt_at and order not in _ID_ORDER else None
    return _write_cursor([order, at, row.pk])


def domains_of(params: Mapping[str, Any]) -> Page[RecipientDomain]:
    """Recipient domains whose name holds `q`, most open deliveries first, or by name."""
    try:
        order = _one_of(str(params.get("order") or "open"), ("open", "name"))
        limit = _limit(params.get("limit"))
        after = _read_cursor(params.get("cursor"), order)
        rows = RecipientDomain.objects.select_related("site").clogged_first()
        part = str(params.get("q") or "").strip().lower()[:255].replace("\0", "")
        if part:
            rows = rows.filter(name__contains=part)
        n = rows.order_by()[: CAP + 1].count()
        items = list(_domains_behind(rows, order, after)[: limit + 1])
    except _Wrong as wrong:
        return Page(error=wrong.mistake)
    next_ = None
    if len(items) > limit:
        last = items[limit - 1]
        next_ = _write_cursor([order, last.name, last.n_open])  # type: ignore[attr-defined]
    return Page(items[:limit], next_, min(n, CAP), n <= CAP)


def domain_named(name: str) -> RecipientDomain | None:
    """The domain of that name as people write it, with its site; None where nobody ever wrote to it."""
    if len(name) > 255 or not name.isprintable():
        return None
    return RecipientDomain.objects.select_related("site").filter(name=name.lower()).first()


def _domains_behind(
    rows: QuerySet[RecipientDomain], order: str, after: list[Any] | None
) -> QuerySet[RecipientDomain]:
    if order == "name":
        rows = rows.order_by("name")
        return rows.filter(name__gt=str(after[1])) if after else rows
    if not after:
        return rows
    return rows.filter(Q(n_open__lt=_id(after)) | Q(n_open=_id(after), name__gt=str(after[1])))


# ── Parameters ────────────────────────────────────────────────────────────────────────────────


def _one_of(order: str, allowed: tuple[str, ...]) -> str:
    if order not in allowed:
        raise _Wrong("order", f"There is no order {order[:40]!r}: one of {', '.join(allowed)}.")
    return order


def _limit(given: Any) -> int:
    text = str(given or 100)
    if not (text.isascii() and text.isdigit()) or len(text) > 6 or not 1 <= int(text) <= MOST:
        raise _Wrong("limit", f"{text[:20]!r} is no limit: a whole number from 1 to {MOST}.")
    return int(text)


def _write_cursor(parts: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def _read_cursor(given: Any, order: str) -> list[Any] | None:
    """[order, value, id] as we wrote it for this order."""
    text = str(given or "")
    if not text:
        return None
    wrong = _Wrong("cursor", "This cursor is none of ours, or of another order: begin again without it.")
    try:
        if len(text) > _MAX_CURSOR:
            raise wrong
        parts = json.loads(base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise wrong from None
    if not isinstance(parts, list) or len(parts) != 3 or parts[0] != order:
        raise wrong
    if not isinstance(parts[1], str | None) or "\0" in (parts[1] or ""):
        raise wrong
    _id(parts)
    return parts


def _id(parts: list[Any]) -> int:
    found = parts[2]
    if type(found) is not int or not 0 <= found <= _LARGEST_ID:
        raise _Wrong("cursor", "This cursor is none of ours: begin again without it.")
    return found


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 1970 <= found.year <= 9000:
        raise _Wrong("cursor", "This cursor is none of ours: begin again without it.")
    return found
