"""How many deliveries a search selects: from the counters where they know it, else by counting rows."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from queueapp.grammar import Query, Term
from queueapp.models.delivery import Delivery, State
from queueapp.models.domain import RecipientDomain
from queueapp.models.matching import condition_of, domain_condition


def count(query: Query, now: datetime | None = None, cap: int | None = None) -> tuple[int, bool]:
    """(how many, whether that is exact). Counting rows stops at `cap`; counters are exact at any size."""
    if all(term.key in ("state", "domain") for term in query.terms):
        return _from_counters(query), True
    rows = Delivery.objects.filter(condition_of(query, now)).order_by()
    if cap is None:
        return rows.count(), True
    n = rows[: cap + 1].count()
    return min(n, cap), n <= cap


def _from_counters(query: Query) -> int:
    domains, states = Q(), set(State.values)
    for group in query.groups():
        if group[0].key == "state":
            states &= _states(group)
        else:
            domains &= _domains(group)
    depth = RecipientDomain.objects.filter(domains).depth()
    return sum(depth[state] for state in states)


def _states(group: list[Term]) -> set[str]:
    named = {str(term.value) for term in group}
    return set(State.values) - named if group[0].is_negated else named


def _domains(group: list[Term]) -> Q:
    named = Q()
    for term in group:
        named |= domain_condition(term)
    return ~named if group[0].is_negated else named
