"""The orders of the list, each one that an index serves, in slices that cost what they hold.

An order is one stretch after another. A stretch by key (next attempt, attempts, size) holds the rows that
its index has; the rest follow, newest first. A Mark is a place in an order: what is behind it comes next,
so the work of a page doesn't grow with its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from queueapp.models.delivery import OFTEN, WAITING, Delivery
from queueapp.models.message import LARGE

LAST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Mark:
    """Behind the row `id`, whose key is `value`; None in the stretch by id."""

    value: Any
    id: int


@dataclass(frozen=True, slots=True)
class ById:
    only: Q
    is_up: bool = False

    @property
    def order(self) -> tuple[str, ...]:
        return ("id",) if self.is_up else ("-id",)

    def between(self, after: Mark | None, until: Mark | None) -> Q:
        found = self.only
        if after:
            found &= Q(id__gt=after.id) if self.is_up else Q(id__lt=after.id)
        if until:
            found &= Q(id__lte=until.id) if self.is_up else Q(id__gte=until.id)
        return found

    def further(self, after: Mark | None, size: int) -> Mark | None:
        """The end of the next slice; None: it is the last."""
        ids = Delivery.objects.values_list("id", flat=True)
        far = ids.order_by("-id" if self.is_up else "id").first()
        if after is None or after.id == LAST_ID:
            near = ids.order_by(*self.order).first()
        else:
            near = after.id
        if far is None or near is None:
            return None
        end = near + size if self.is_up else near - size
        return None if (end >= far if self.is_up else end <= far) else Mark(None, end)

    def mark(self, row: Delivery) -> Mark:
        return Mark(None, row.pk)


@dataclass(frozen=True, slots=True)
class ByKey:
    """`words`: `only` as its index has it. `parts` share the rows out, each in the order of an index."""

    field: str
    is_down: bool
    only: Q
    words: Q
    parts: Sequence[Q]

    @property
    def order(self) -> tuple[str, ...]:
        return (f"-{self.field}" if self.is_down else self.field, "-id")

    def between(self, after: Mark | None, until: Mark | None) -> Q:
        return self.only & self._between(after, until)

    # The comparison with the key alone says nothing new, but an index can follow it.
    def _between(self, after: Mark | None, until: Mark | None) -> Q:
        found, name = Q(), self.field
        further, back = ("lt", "gt") if self.is_down else ("gt", "lt")
        if after:
            found &= Q(**{f"{name}__{further}e": after.value})
            found &= Q(**{f"{name}__{further}": after.value}) | Q(id__lt=after.id)
        if until:
            found &= Q(**{f"{name}__{back}e": until.value})
            found &= Q(**{f"{name}__{back}": until.value}) | Q(id__gte=until.id)
        return found

    def further(self, after: Mark | None, size: int) -> Mark | None:
        ends: list[tuple[Any, int]] = []
        for part in self.parts:
            rows = Delivery.objects.filter(part & self._between(after, None)).order_by(*self.order)
            ends += rows.values_list(self.field, "id")[size - 1 : size]
        if not ends:
            return None
        return Mark(*(max(ends) if self.is_down else min(ends, key=lambda end: (end[0], -end[1]))))

    def mark(self, row: Delivery) -> Mark:
        value: Any = row
        for name in self.field.split("__"):
            value = getattr(value, name)
        return Mark(value, row.pk)


Stretch = ById | ByKey

_IS_WAITING = Q(state__in=WAITING, next_attempt_at__isnull=False)
_WAITING = Q(state__among=WAITING)
_BY_STATE = [_WAITING & Q(state=state, next_attempt_at__isnull=False) for state in WAITING]
_OFTEN_TRIED = Q(n_attempts__gte=OFTEN)
_IS_LARGE = Q(message__size__gte=LARGE)

_NEWEST = (ById(Q()),)
_OLDEST = (ById(Q(), is_up=True),)
ORDERS: dict[str, tuple[Stretch, ...]] = {
    "-id": _NEWEST,
    "id": _OLDEST,
    # Ids are given in the order of acceptance, so no other index is needed.
    "age": _OLDEST,
    "-age": _NEWEST,
    "next_attempt": (ByKey("next_attempt_at", False, _IS_WAITING, _WAITING, _BY_STATE), ById(~_IS_WAITING)),
    "-next_attempt": (ByKey("next_attempt_at", True, _IS_WAITING, _WAITING, _BY_STATE), ById(~_IS_WAITING)),
    "-attempts": (ByKey("n_attempts", True, _OFTEN_TRIED, Q(), [_OFTEN_TRIED]), ById(~_OFTEN_TRIED)),
    "-size": (ByKey("message__size", True, _IS_LARGE, Q(), [_IS_LARGE]), ById(~_IS_LARGE)),
}


def stretches(order: str, after: Mark | None) -> tuple[Stretch, ...]:
    """What is left of an order behind a mark."""
    found = ORDERS[order]
    return found[1:] if after and after.value is None and len(found) > 1 else found
