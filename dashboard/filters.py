"""From the parameters of a request to a page of rows: for pages and API alike.

Promises: an order that is not on the list, a limit out of range or a cursor that we didn't make is
a Mistake with its field, never an exception and never a guess; the work of a page doesn't grow with
its number (a cursor says where the last one ended, so rows that come or go meanwhile are neither
shown twice nor skipped); a page comes in time at any size of the queue, and one that is not full because
the time was up says so (`is_cut`) and where it came to; counting stops at CAP, and `count_is_exact` says so.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import Q, QuerySet
from django.utils import timezone

from queueapp.grammar import WORD, GrammarError, Query, Term, parse
from queueapp.models import Delivery, RecipientDomain, searching
from queueapp.models.counting import COUNT_TIME, Counted, count_of
from queueapp.models.grouping import BY, Group, Groups, groups
from queueapp.models.orders import ORDERS as _ORDERS
from queueapp.models.orders import Mark
from queueapp.models.searching import PAGE_TIME, Found, Search

MOST = 500
CAP = 10_000
DEFAULT_ORDER = "-id"
ORDERS = tuple(_ORDERS)
GROUPS = tuple(BY)
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
    """Rows in order. `next` is the cursor of the page behind, or None.

    `is_cut`: the time was up before the page was full; `searched_to` is the time of acceptance that was
    come to then, where the order goes by it. `count` is exact, or else there are at least so many.
    """

    items: list[Row] = field(default_factory=list)
    next: str | None = None
    count: int = 0
    count_is_exact: bool = True
    is_cut: bool = False
    searched_to: datetime | None = None
    query: Query | None = None
    order: str = DEFAULT_ORDER
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
        after = _mark(order, params.get("cursor"))
        query = parse(str(params.get("q") or ""))
        search = Search(query, now)
        found = searching.page(search, order, limit, after, PAGE_TIME)
        counted = _counted(search, found, is_first=after is None)
    except _Wrong as wrong:
        return Page(error=wrong.mistake)
    except GrammarError as error:
        return Page(error=_where(error))
    next_ = _cursor(order, found.next) if found.next else None
    return Page(found.rows, next_, counted.n, counted.is_exact, found.is_cut, found.reached_at, query, order)


def _counted(search: Search, found: Found, *, is_first: bool) -> Counted:
    """What the page itself tells needs no counting."""
    if is_first and found.next is None:
        return Counted(len(found.rows))
    if is_first and found.is_cut:
        return Counted(len(found.rows), is_exact=False)
    return count_of(search, CAP, COUNT_TIME)


def _cursor(order: str, mark: Mark) -> str:
    value = mark.value.isoformat() if isinstance(mark.value, datetime) else mark.value
    return _write_cursor([order, None if value is None else str(value), mark.id])


def _mark(order: str, given: Any) -> Mark | None:
    parts = _read_cursor(given, order)
    if parts is None:
        return None
    value = parts[1]
    if value is None:
        return Mark(None, _id(parts))
    return Mark(_time(value) if order.endswith("next_attempt") else _number(value), _id(parts))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        raise _Wrong("cursor", "This cursor is none of ours: begin again without it.")
    return int(text)


@dataclass(frozen=True, slots=True)
class Shared:
    """How a search shares out; `opened` is the search that opens a group."""

    found: Groups = field(default_factory=Groups)
    query: Query | None = None
    by: str = ""
    error: Mistake | None = None

    def opened(self, group: Group) -> str | None:
        if group.terms is None or self.query is None:
            return None
        terms = parse(group.terms).terms
        keys = {term.key for term in terms if not term.is_negated}
        # Two of one key would be either of them; the group's is the narrower one.
        kept = [term for term in self.query.terms if term.key not in keys or _is_and(term)]
        if self.by in _MANY and len(kept) < len(self.query.terms):
            return None
        return str(Query((*kept, *terms)))


_MANY = ("tag", "campaign")  # of which a message may have several


def _is_and(term: Term) -> bool:
    return term.is_negated or term.op != "=" or term.key == WORD


def groups_of(params: Mapping[str, Any], now: datetime | None = None) -> Shared:
    """Groups by `by` of the deliveries that `q` selects."""
    try:
        by = str(params.get("by") or "")
        if by not in BY:
            raise _Wrong("by", f"There are no groups by {by[:40]!r}: one of {', '.join(BY)}.")
        query = parse(str(params.get("q") or ""))
        return Shared(groups(Search(query, now or timezone.now()), by), query, by)
    except _Wrong as wrong:
        return Shared(error=wrong.mistake)
    except GrammarError as error:
        return Shared(error=_where(error))


def _where(error: GrammarError) -> Mistake:
    return Mistake("q", str(error), error.position, error.length, error.hint)


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
