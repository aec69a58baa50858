"""Pages of the board: filters, orders and the cursor that says where a page ended.

Promises: the work of a page does not grow with its number; an order, state or cursor that can't be is
a Mistake with its field, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, FloatField, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from dashboard.filters import LARGEST_ID, Wrong, limit_of, one_of, read_cursor, write_cursor
from queueapp.models import Site, board

FAR = datetime(9999, 1, 1, tzinfo=UTC)
# order: (what it goes by, whether from the largest down)
ORDERS: dict[str, tuple[Callable[[], Any], bool]] = {
    "open": (lambda: F("n_open"), True),
    "deferred": (lambda: F("n_deferred"), True),
    "name": (lambda: F("name"), False),
    "rate": (lambda: _figure("per_minute"), True),
    "slow": (lambda: _figure("p95_s"), True),
    "next": (lambda: Coalesce(F("due_at"), Value(FAR)), False),
}
OPEN, STUCK, ALL = "open", "stuck", "all"
STATES = (OPEN, STUCK, ALL, *board.STATES)
PAGE = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request wants to see."""

    q: str = ""
    state: str = OPEN
    order: str = "open"
    limit: int = PAGE
    after: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    rows: list[Any] = field(default_factory=list)
    next: str | None = None
    count: int = 0


def read(params: Mapping[str, Any], *, state: str = OPEN) -> Asked:
    """From the parameters of a request; `state` where it names none. Raises Wrong."""
    order = one_of("order", str(params.get("order") or "open"), tuple(ORDERS))
    return Asked(
        q=str(params.get("q") or "").strip().lower()[:255].replace("\0", ""),
        state=one_of("state", str(params.get("state") or state), STATES),
        order=order,
        limit=limit_of(params.get("limit"), PAGE),
        after=_after(params.get("cursor"), order),
    )


def find(kind: str, asked: Asked, now: datetime) -> Found:
    """`kind`: domain or site; rows are those of models/board.py, in order."""
    rows = _filtered(kind, asked, now)
    n = rows.count()
    key, is_down = ORDERS[asked.order]
    rows = rows.annotate(by=key())
    if asked.after:
        at, pk = _value(asked), asked.after[2]
        further = Q(by__lt=at) if is_down else Q(by__gt=at)
        rows = rows.filter(further | Q(by=at, pk__gt=pk))
    places = list(rows.order_by("-by" if is_down else "by", "pk").values_list("pk", "by")[: asked.limit + 1])
    shown = places[: asked.limit]
    next_ = _cursor(asked.order, *shown[-1]) if len(places) > asked.limit else None
    return Found(whole(kind, [pk for pk, _ in shown], now), next_, n)


def whole(kind: str, ids: list[int], now: datetime) -> list[Any]:
    """These rows in this order."""
    if not ids:
        return []
    rows = board.sites(now) if kind == "site" else board.domains(now)
    found = {row.pk: row for row in rows.filter(pk__in=ids)}
    return [found[pk] for pk in ids if pk in found]


def _filtered(kind: str, asked: Asked, now: datetime) -> QuerySet[Any]:
    keys = board.site_keys if kind == "site" else board.domain_keys
    if asked.state in (OPEN, ALL):
        rows = keys(now)
        if asked.q:
            rows = rows.filter(name__contains=asked.q)
        return rows.filter(n_open__gt=0) if asked.state == OPEN else rows
    rows = keys(now, by_state=True)
    if asked.q:
        rows = rows.filter(name__contains=asked.q)
    wanted = board.STUCK if asked.state == STUCK else (asked.state,)
    if set(wanted) <= set(board.STUCK):
        if kind == "site":
            some = Site.objects.filter(board.maybe_stuck(now, "")).values("pk")
            rows = rows.filter(pk__in=some)
        else:
            rows = rows.filter(board.maybe_stuck(now, "site__"))
    return rows.filter(state__in=wanted)


def _figure(name: str) -> Coalesce:
    return Coalesce(F(f"figures__{name}"), Value(0.0), output_field=FloatField())


def _cursor(order: str, pk: int, by: Any) -> str:
    return write_cursor([order, by.isoformat() if isinstance(by, datetime) else by, pk])


def _after(given: Any, order: str) -> list[Any] | None:
    parts = read_cursor(given, order, str if order in ("name", "next") else int | float)
    if parts and not isinstance(parts[1], str) and not abs(parts[1]) <= LARGEST_ID:
        raise Wrong("cursor", "This cursor is none of ours: begin again without it.")
    return parts


def _value(asked: Asked) -> Any:
    assert asked.after is not None
    if asked.order != "next":
        return asked.after[1]
    try:
        found = datetime.fromisoformat(asked.after[1])
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or found.year < 1970:
        raise Wrong("cursor", "This cursor is none of ours: begin again without it.")
    return found
