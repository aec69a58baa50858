"""Pages, counts and slices of a search, in bounded time at any size of the queue.

A search that an index makes small (models/narrowing.py) is answered at once. Any other is looked through in
slices of its order, each larger than the one before, until the page is full or the time is up; then the
answer says how far it came (`reached`), and the next page goes on from there. Within what was looked at it
is exact. What matches is what models/matching.py says, here and everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django.db import connection
from django.db.models import F, Max, Min, Q

from queueapp.grammar import WORD, Query
from queueapp.models.budget import Clock, OutOfTime
from queueapp.models.delivery import Delivery, DeliveryQuerySet
from queueapp.models.matching import condition_of, index_words
from queueapp.models.narrowing import narrowed
from queueapp.models.orders import LAST_ID, ById, Mark, Stretch, stretches

PAGE_TIME = 0.12  # seconds, for the rows of a page
_FIRST_SLICE = 500
_OF_MESSAGES = ("from", "subject", "size", "campaign", "source", "tag", "login", "msgid", "has", WORD)


class Search:
    """A query at a moment, and the small set that answers it, where there is one. `narrows`: whether to look
    for one; who wants only the newest rows has them sooner without."""

    def __init__(self, query: Query, now: datetime, *, narrows: bool = True) -> None:
        self.query = query
        self.now = now
        self.narrows = narrows
        self.condition = condition_of(query, now)

    @cached_property
    def small(self) -> Q | None:
        """What narrows it to a few rows; None where nothing does."""
        return narrowed(self.query, self.now) if self.narrows else None

    @property
    def reads_messages(self) -> bool:
        return any(term.key in _OF_MESSAGES for term in self.query.terms)

    @property
    def rows(self) -> DeliveryQuerySet:
        """All that match, in no order."""
        rows = Delivery.objects.filter(self.condition).order_by()
        return rows if self.small is None else rows.filter(self.small)

    def between(
        self, stretch: Stretch, after: Mark | None, until: Mark | None, *, with_messages: bool = False
    ) -> DeliveryQuerySet:
        """Those of a slice, found by the index that should find them: SQLite would take any."""
        inside = stretch.between(after, until)
        if self.small is not None:
            return self.rows.filter(inside)
        if isinstance(stretch, ById):
            rows = self.rows.filter(inside, index_words(self.query))
            reads = self.reads_messages or with_messages
            return self._near(rows, stretch, after, until) if reads else rows
        if connection.vendor == "postgresql":
            return self.rows.filter(inside)
        return self.rows.filter(id__in=Delivery.objects.filter(inside, stretch.words).values("id"))

    def _near(
        self, rows: DeliveryQuerySet, stretch: ById, after: Mark | None, until: Mark | None
    ) -> DeliveryQuerySet:
        """With the span of its messages named: PostgreSQL would else rather read all messages than those of
        the slice, where it takes the text that is searched for to be rare."""
        if connection.vendor != "postgresql":
            return rows
        # "+ 0", or else it would look for the least along the index of message_id.
        span = Delivery.objects.filter(stretch.between(after, until)).aggregate(
            least=Min(F("message_id") + 0), most=Max(F("message_id") + 0)
        )
        if span["least"] is None:
            return rows.none()
        return rows.filter(message__id__gte=span["least"], message__id__lte=span["most"])


@dataclass(frozen=True, slots=True)
class Slice:
    rows: DeliveryQuerySet
    stretch: Stretch


@dataclass(slots=True)
class Walk:
    """Through a search in slices of an order. Afterwards `is_cut` tells that the time was up before the end,
    and `reached` where to go on."""

    search: Search
    order: str
    after: Mark | None = None
    seconds: float | None = None
    first: int = 0
    shows_messages: bool = False
    is_cut: bool = False
    reached: Mark | None = None

    def each(self, look: Callable[[Slice], bool]) -> None:
        """Shows slice after slice, until one of them is enough: then `look` returns True."""
        self.reached = self.after
        try:
            self._go(look, Clock(self.seconds))
        except OutOfTime:
            self.is_cut = True

    def _go(self, look: Callable[[Slice], bool], clock: Clock) -> None:
        size, is_first = self.first or _FIRST_SLICE, True
        left = stretches(self.order, self.after)
        for place, stretch in enumerate(left):
            mark = self.after if place == 0 else None
            while True:
                with clock.limit(is_first):
                    end = None if self.search.small is not None else stretch.further(mark, size)
                    rows = self.search.between(stretch, mark, end, with_messages=self.shows_messages)
                    if look(Slice(rows, stretch)):
                        return
                is_last = end is None and place == len(left) - 1
                if is_last:
                    return
                self.reached = mark = end or Mark(None, LAST_ID)
                size, is_first = clock.next_size(size), False
                if not size:
                    self.is_cut = True
                    return
                if end is None:
                    break


@dataclass(frozen=True, slots=True)
class Found:
    """`next` is where the page behind begins, None: this is the last. `is_cut`: the time was up before the
    page was full; `reached_at` is then the time of acceptance that it came to, where the order goes by it."""

    rows: list[Delivery] = field(default_factory=list)
    next: Mark | None = None
    is_cut: bool = False
    reached_at: datetime | None = None


def page(search: Search, order: str, limit: int, after: Mark | None, seconds: float | None) -> Found:
    """Up to `limit` rows behind a mark, with message and domain joined in."""
    walk = Walk(search, order, after, seconds, max(_FIRST_SLICE, 2 * limit))
    found: list[Delivery] = []
    marks: list[Mark] = []

    def look(each: Slice) -> bool:
        rows = each.rows.order_by(*each.stretch.order)
        if search.small is not None:  # sorted by themselves: without what is shown of them
            ids = list(rows.values_list("id", flat=True)[: limit + 1 - len(found)])
            rows = Delivery.objects.filter(id__in=ids).order_by(*each.stretch.order)
        rows = rows.select_related("message", "domain")
        for row in rows[: limit + 1 - len(found)]:
            found.append(row)
            marks.append(each.stretch.mark(row))
        return len(found) > limit

    walk.each(look)
    if len(found) > limit:
        return Found(found[:limit], marks[limit - 1])
    if not walk.is_cut:
        return Found(found)
    return Found(found, walk.reached, True, accepted_near(order, walk.reached))


def accepted_near(order: str, mark: Mark | None) -> datetime | None:
    if mark is None or not order.endswith(("id", "age")):
        return None
    is_up = order in ("id", "age")
    near = Q(id__lte=mark.id) if is_up else Q(id__gte=mark.id)
    rows = Delivery.objects.filter(near).order_by("-id" if is_up else "id")
    return rows.values_list("accepted_at", flat=True).first()
