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
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import UnionType
from typing import Any, Generic, TypeVar

from django.utils import timezone

from queueapp.grammar import WORD, GrammarError, Query, Term, parse
from queueapp.models import Delivery, searching
from queueapp.models.counting import COUNT_TIME, Counted, count_of
from queueapp.models.estimating import TIME as ESTIMATE_TIME
from queueapp.models.estimating import estimate
from queueapp.models.grouping import BY, Group, Groups, groups
from queueapp.models.orders import ORDERS as _ORDERS
from queueapp.models.orders import Mark
from queueapp.models.searching import PAGE_TIME, Found, Search

MOST = 500
CAP = 10_000
ANSWER_TIME = 0.2  # seconds, for rows, count and estimate together: the page has still to be drawn
_LEAST_TIME = 0.02
DEFAULT_ORDER = "-id"
ORDERS = tuple(_ORDERS)
GROUPS = tuple(BY)
_MAX_CURSOR = 600
LARGEST_ID = 2**63 - 1

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
    come to then, where the order goes by it. `count` is exact, or else there are at least so many, and
    about `about`, where that is known.
    """

    items: list[Row] = field(default_factory=list)
    next: str | None = None
    count: int = 0
    count_is_exact: bool = True
    about: int | None = None
    is_cut: bool = False
    searched_to: datetime | None = None
    query: Query | None = None
    order: str = DEFAULT_ORDER
    error: Mistake | None = None


class Wrong(Exception):
    """A parameter that can't be, with its Mistake: for who reads parameters, and not for who asks."""

    def __init__(self, field: str, text: str) -> None:
        self.mistake = Mistake(field, text)


def page_of(params: Mapping[str, Any], now: datetime | None = None) -> Page[Delivery]:
    """Deliveries by `q`, `order`, `limit` and `cursor`, with message and domain joined in."""
    now, until = now or timezone.now(), time.monotonic() + ANSWER_TIME
    try:
        order = one_of("order", str(params.get("order") or DEFAULT_ORDER), ORDERS)
        limit = limit_of(params.get("limit"))
        after = _mark(order, params.get("cursor"))
        query = parse(str(params.get("q") or ""))
        search = Search(query, now)
        found = searching.page(search, order, limit, after, PAGE_TIME)
        counted = _counted(search, found, until, is_first=after is None)
    except Wrong as wrong:
        return Page(error=wrong.mistake)
    except GrammarError as error:
        return Page(error=_where(error))
    next_ = _cursor(order, found.next) if found.next else None
    return Page(
        found.rows, next_, counted.n, counted.is_exact, counted.about, found.is_cut, found.reached_at, query,
        order,
    )  # fmt: skip


def _counted(search: Search, found: Found, until: float, *, is_first: bool) -> Counted:
    """What the page itself tells needs no counting. `until`: by the monotonic clock; where the rows took long
    there is less time to count."""

    def left(most: float) -> float:
        return max(_LEAST_TIME, min(most, until - time.monotonic()))

    if is_first and found.next is None:
        return Counted(len(found.rows))
    if is_first and found.is_cut:
        counted = Counted(len(found.rows), is_exact=False)
    else:
        counted = count_of(search, CAP, left(COUNT_TIME))
    if counted.is_exact:
        return counted
    return replace(counted, about=estimate(search, counted.n, seconds=left(ESTIMATE_TIME)))


def _cursor(order: str, mark: Mark) -> str:
    value = mark.value.isoformat() if isinstance(mark.value, datetime) else mark.value
    return write_cursor([order, None if value is None else str(value), mark.id])


def _mark(order: str, given: Any) -> Mark | None:
    parts = read_cursor(given, order)
    if parts is None:
        return None
    value = parts[1]
    if value is None:
        return Mark(None, parts[2])
    return Mark(_time(value) if order.endswith("next_attempt") else _number(value), parts[2])


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        raise Wrong("cursor", "This cursor is none of ours: begin again without it.")
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
            raise Wrong("by", f"There are no groups by {by[:40]!r}: one of {', '.join(BY)}.")
        query = parse(str(params.get("q") or ""))
        return Shared(groups(Search(query, now or timezone.now()), by), query, by)
    except Wrong as wrong:
        return Shared(error=wrong.mistake)
    except GrammarError as error:
        return Shared(error=_where(error))


def _where(error: GrammarError) -> Mistake:
    return Mistake("q", str(error), error.position, error.length, error.hint)


# ── Parameters ────────────────────────────────────────────────────────────────────────────────


def one_of(name: str, given: str, allowed: Collection[str]) -> str:
    if given not in allowed:
        raise Wrong(name, f"There is no {name} {given[:40]!r}: one of {', '.join(allowed)}.")
    return given


def limit_of(given: Any, usual: int = 100) -> int:
    text = str(given or usual)
    if not (text.isascii() and text.isdigit()) or len(text) > 6 or not 1 <= int(text) <= MOST:
        raise Wrong("limit", f"{text[:20]!r} is no limit: a whole number from 1 to {MOST}.")
    return int(text)


def write_cursor(parts: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(given: Any, order: str, kinds: type | UnionType = str | None) -> list[Any] | None:
    """[order, value, id] as `write_cursor` wrote it for this order; the value is one of `kinds`. Raises
    Wrong."""
    text = str(given or "")
    if not text:
        return None
    wrong = Wrong("cursor", "This cursor is none of ours, or of another order: begin again without it.")
    try:
        if len(text) > _MAX_CURSOR:
            raise wrong
        parts = json.loads(base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise wrong from None
    if not isinstance(parts, list) or len(parts) != 3 or parts[0] != order:
        raise wrong
    if not isinstance(parts[1], kinds) or isinstance(parts[1], bool) or "\0" in str(parts[1]):
        raise wrong
    if type(parts[2]) is not int or not 0 <= parts[2] <= LARGEST_ID:
        raise wrong
    return parts


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 1970 <= found.year <= 9000:
        raise Wrong("cursor", "This cursor is none of ours: begin again without it.")
    return found
