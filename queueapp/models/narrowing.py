"""The small sets of a search: where an index tells that few rows can match at all, only those are looked at.

A term such as `from:ann@example.com` or `state:held` is asked of its index first, up to SMALL rows. If it
has no more, the search is answered from them, whatever its other terms and its order are. Never decides
what matches: models/matching.py does.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from django.db.models import Q, QuerySet

from queueapp.grammar import Query, Term
from queueapp.models.delivery import FINAL, OFTEN, UNSENT, UNTROUBLED, WAITING, Delivery, State
from queueapp.models.domain import RecipientDomain
from queueapp.models.matching import domains_of, messages_of, routed
from queueapp.models.message import Message

SMALL = 8_000
_FEW_DOMAINS = 300


def narrowed(query: Query, now: datetime) -> Q | None:
    """A condition that leaves SMALL rows or about so many, all that match among them; None: there is none."""
    for group in sorted(query.groups(), key=_promise):
        if any(term.is_negated for term in group):
            continue
        found = _by_ids(group) or _by_messages(group) or _by_domains(group) or _by_rows(group, now)
        if found is not None:
            return found
    return None


_FIRST = ("id", "msgid", "is", "from", "to", "domain", "site")


def _promise(group: list[Term]) -> int:
    key = group[0].key
    return _FIRST.index(key) if key in _FIRST else len(_FIRST)


def _by_ids(group: list[Term]) -> Q | None:
    return Q(id__in=[term.value for term in group]) if group[0].key == "id" else None


def _by_messages(group: list[Term]) -> Q | None:
    if len(group) > 1:
        return None
    named = messages_of(group[0])
    if named is None or not _is_small(named):
        return None
    return _ids(Delivery.objects.filter(message__in=named.values("id")))


def _by_domains(group: list[Term]) -> Q | None:
    """By the counters of the domains, which are exact."""
    found: set[int] = set()
    n = 0
    for term in group:
        named = domains_of(term)
        if named is None:
            named = _domain_of_address(term)
        if named is None:
            return None
        for pk, *counts in named.values_list("id", *_COUNTERS)[: _FEW_DOMAINS + 1]:
            n += 0 if pk in found else sum(counts)
            found.add(pk)
    if n > SMALL or len(found) > _FEW_DOMAINS:
        return None
    return _ids(Delivery.objects.filter(domain__in=sorted(found)))


_COUNTERS = tuple(f"n_{state}" for state in State.values)


def _domain_of_address(term: Term) -> QuerySet[RecipientDomain] | None:
    kind = getattr(term.value, "kind", "")
    text = getattr(term.value, "text", None)
    if term.key != "to" or kind != "address" or text is None or not text.is_exact:
        return None
    return RecipientDomain.objects.filter(name=text.parts[0].rpartition("@")[2])


def _by_rows(group: list[Term], now: datetime) -> Q | None:
    parts = _parts(group, now)
    if not parts:
        return None
    sets = [Delivery.objects.filter(part).order_by() for part in parts]
    left = SMALL
    for rows in sets:
        left -= rows.values("id")[: left + 1].count()
        if left < 0:
            return None
    return _ids(*sets)


def _ids(*sets: QuerySet[Delivery]) -> Q:
    ids = [rows.order_by().values("id") for rows in sets]
    return Q(id__in=ids[0].union(*ids[1:], all=True) if len(ids) > 1 else ids[0])


def _parts(group: list[Term], now: datetime) -> list[Q]:
    """Conditions that an index has each, and that hold together all rows of the group."""
    term = group[0]
    words = {str(each.value) for each in group}
    if term.key == "state":
        return _states(words)
    if term.key == "class" and words.isdisjoint({"none", "delivered"}):
        return [Q(last_class=word) & ~Q(last_class__among=UNTROUBLED) for word in sorted(words)]
    if term.key == "route":
        return [routed(each) for each in group]
    if term.key == "is":
        return [Q(is_ambiguous=True)]
    if term.key == "attempts" and term.op in (">", ">=", "="):
        least = min(cast(int, each.value) for each in group)
        return [Q(n_attempts__gte=OFTEN) & Q(n_attempts__gte=least)] if least >= OFTEN else []
    if term.key == "next" and term.op in ("<", "<="):
        until = now + timedelta(seconds=cast(int, term.value))
        return [Q(state__among=WAITING, state=state, next_attempt_at__lte=until) for state in WAITING]
    return []


def _states(states: set[str]) -> list[Q]:
    found = []
    for state in sorted(states):
        if state in WAITING:
            found.append(Q(state__among=WAITING, state=state))
        elif state == State.SENDING:
            found.append(Q(state=state))
        elif state in UNSENT:
            found.append(Q(state__among=UNSENT, state=state))
        else:
            return [Q(state__among=FINAL)] if states <= set(FINAL) else []
    return found


def _is_small(rows: QuerySet[Message]) -> bool:
    return rows.values("id")[: SMALL + 1].count() <= SMALL
