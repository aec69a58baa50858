"""How many deliveries a search selects: from the counters where they know it, else by counting rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from queueapp.grammar import Query, Term
from queueapp.models.delivery import State
from queueapp.models.domain import RecipientDomain, RecipientDomainQuerySet
from queueapp.models.matching import domains_of
from queueapp.models.searching import Search, Slice, Walk

COUNT_TIME = 0.08  # seconds, where a person waits for it


@dataclass(frozen=True, slots=True)
class Counted:
    """`n` is exact, or else at least so many; `is_capped`: counting stopped there because that is enough.
    `about` is what a sample says, where it says it well enough (models/estimating.py)."""

    n: int
    is_exact: bool = True
    is_capped: bool = False
    about: int | None = None


def count(query: Query, now: datetime | None = None, cap: int | None = None) -> tuple[int, bool]:
    """(how many, whether that is exact). Counting rows stops at `cap`; counters are exact at any size."""
    found = count_of(Search(query, now or timezone.now()), cap, None)
    return found.n, found.is_exact


def count_of(search: Search, cap: int | None, seconds: float | None) -> Counted:
    """The same for a search that is prepared, in so many seconds at most; None: as long as it takes."""
    if is_counted(search.query):
        depth = domains_in(search.query).depth()
        return Counted(sum(depth[state] for state in states_in(search.query)))
    if search.small is not None or (cap is None and seconds is None):
        return Counted(search.rows.count())
    n, walk = 0, Walk(search, "-id", seconds=seconds)

    def look(each: Slice) -> bool:
        nonlocal n
        n += (each.rows if cap is None else each.rows[: cap + 1 - n]).count()
        return cap is not None and n > cap

    walk.each(look)
    if cap is not None and n > cap:
        return Counted(cap, is_exact=False, is_capped=True)
    return Counted(n, is_exact=not walk.is_cut)


def count_newer(query: Query, after: int, cap: int, seconds: float, now: datetime | None = None) -> Counted:
    """How many of a search have come in behind the delivery `after`: newest first, so what came last is
    counted however far back that is."""
    search = Search(query, now or timezone.now(), narrows=False)
    n, walk = 0, Walk(search, "-id", seconds=seconds)

    def look(each: Slice) -> bool:
        nonlocal n
        if walk.reached is not None and walk.reached.id <= after:
            return True
        n += each.rows.filter(id__gt=after)[: cap + 1 - n].count()
        return n > cap

    walk.each(look)
    return Counted(min(n, cap), is_exact=n <= cap and not walk.is_cut, is_capped=n > cap)


def is_counted(query: Query) -> bool:
    """Whether the counters of the domains know all that the search asks for."""
    return all(term.key == "state" or domains_of(term) is not None for term in query.terms)


def domains_in(query: Query) -> RecipientDomainQuerySet:
    found = Q()
    for group in query.groups():
        if group[0].key != "state":
            found &= _domains(group)
    return RecipientDomain.objects.filter(found)


def states_in(query: Query) -> set[str]:
    states: set[str] = set(State.values)
    for group in query.groups():
        if group[0].key == "state":
            states &= _states(group)
    return states


def _states(group: list[Term]) -> set[str]:
    named = {str(term.value) for term in group}
    return set(State.values) - named if group[0].is_negated else named


def _domains(group: list[Term]) -> Q:
    named = Q()
    for term in group:
        rows = domains_of(term)
        assert rows is not None
        named |= Q(id__in=rows.values("id"))
    return ~named if group[0].is_negated else named
