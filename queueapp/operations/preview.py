"""What a bulk action would do, for the dialog that asks: the exact number, a sample, the split by domain,
what can't be touched and why, and for a retry how long it will take.

Promises: the number is the one that `create` freezes, if nothing changes meanwhile; a set that is named
by states and domains alone is counted from the counters, at any size; nothing is changed or kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, F
from django.utils import timezone

from queueapp.access.change import Actor
from queueapp.engine.actions import FROM
from queueapp.grammar import parse
from queueapp.models import Delivery, RecipientDomain, State
from queueapp.models.counting import domains_in, is_counted, states_in
from queueapp.models.delivery import DeliveryQuerySet
from queueapp.models.searching import Search, page
from queueapp.operations import actions
from queueapp.operations.forecast import Forecast, forecast
from queueapp.operations.texts import why

SAMPLE = 10
TOP = 10
_PATIENCE = 0.3  # seconds for the sample


@dataclass(frozen=True, slots=True)
class Untouched:
    reason: str
    why: str
    n: int


@dataclass(frozen=True, slots=True)
class Preview:
    """`matched` is what is to be confirmed; of these `touchable` are in a state that the action is for."""

    action: str
    q: str
    matched: int
    touchable: int
    sample: list[Delivery]
    domains: list[tuple[str, int]]
    n_other_domains: int
    other: int
    untouched: list[Untouched]
    can_undo: bool
    seen: str
    forecast: Forecast | None = None


@dataclass(slots=True)
class _Counts:
    """Rows by domain, and by state; those that the action is for by domain."""

    by_domain: Counter[int] = field(default_factory=Counter)
    by_state: Counter[str] = field(default_factory=Counter)
    touchable: Counter[int] = field(default_factory=Counter)


def preview(
    actor: Actor,
    action: str,
    *,
    q: str | None = None,
    ids: Sequence[int] | None = None,
    arguments: dict[str, Any] | None = None,
    seen: str = "",
) -> Preview:
    """Raises GrammarError, NotAllowed and Wrong, as `create` does."""
    now = timezone.now()
    actions.check(actor, action, q=q, ids=ids, arguments=arguments)
    rows = actions.chosen(q, ids, seen, now)
    counts = _counts(rows, FROM[action], None if ids is not None or seen else q)
    seen = seen or actions.seen_now(now)
    top = counts.by_domain.most_common(TOP)
    names = dict(RecipientDomain.objects.filter(pk__in=[pk for pk, _ in top]).values_list("pk", "name"))
    matched = counts.by_domain.total()
    return Preview(
        action=action,
        q=q or "",
        matched=matched,
        touchable=counts.touchable.total(),
        sample=_sample(rows, q, seen, now),
        domains=[(names[pk], n) for pk, n in top],
        n_other_domains=len(counts.by_domain) - len(top),
        other=matched - sum(n for _, n in top),
        untouched=[
            Untouched(state, why(state), n)
            for state, n in sorted(counts.by_state.items())
            if state not in FROM[action]
        ],
        can_undo=action in actions.UNDOABLE,
        seen=seen,
        forecast=forecast(counts.touchable) if action == "retry" else None,
    )


def _counts(rows: DeliveryQuerySet, states: Sequence[State], q: str | None) -> _Counts:
    found = _Counts()
    for domain_id, state, n in _groups(rows, q):
        found.by_domain[domain_id] += n
        found.by_state[state] += n
        if state in states:
            found.touchable[domain_id] += n
    return found


def _groups(rows: DeliveryQuerySet, q: str | None) -> list[tuple[int, str, int]]:
    """(domain, state, how many), at most as many as there are domains and states."""
    if q is not None and is_counted(query := parse(q)):
        columns = [f"n_{state}" for state in sorted(states_in(query))]
        return [
            (pk, column.removeprefix("n_"), n)
            for pk, *numbers in domains_in(query).values_list("pk", *columns)
            for column, n in zip(columns, numbers, strict=True)
            if n
        ]
    # Not the column itself: SQLite would walk its index, and fetch row after row in that order.
    grouped = rows.order_by().values_list(F("domain_id") + 0, "state").annotate(n=Count("pk"))
    return [(domain_id, state, n) for domain_id, state, n in grouped]


def _sample(rows: DeliveryQuerySet, q: str | None, seen: str, now: datetime) -> list[Delivery]:
    """The newest. Where a search finds few of them among many, those that are found in a moment."""
    if q is None:
        return list(rows.select_related("message", "domain").order_by("-id")[:SAMPLE])
    last, at = actions.read_seen(seen, now)
    found = page(Search(parse(q), at), "-id", 2 * SAMPLE, None, _PATIENCE).rows
    return [row for row in found if row.pk <= last][:SAMPLE]
