"""Searches of alert rules: which ones a rule may have, and whether more match than its limit.

A rule is looked at for ever, so its search has to be cheap. Refused, with the place and what to write
instead: what is compared with the text of every mail or reply (`subject:`, `reason:`, words, parts of
addresses, names with `*`), and what names nothing that leaves out the mail that is long delivered.
Promises: SECONDS at most for one count; what is not known in time is Unknown, never a number.
"""

from __future__ import annotations

from datetime import datetime

from queueapp.grammar import WORD, AddressText, GrammarError, Query, Term, Text, parse
from queueapp.models.counting import is_counted
from queueapp.models.delivery import OFTEN
from queueapp.models.matching import condition_of
from queueapp.models.tallying import Tally, tally

SECONDS = 0.3
MOST_RULES = 10
"""Rules with a search that may be on at once."""
_TEXTS = ("subject", "reason", WORD)
_OF_MAIL = ("from", "to", "tag", "campaign", "login", "msgid", "route")
_LIVE = ("queued", "sending", "deferred", "held")
_SAY = "Say which mail, such as state:deferred."


class Unknown(Exception):
    """It could not be counted in time."""


def checked(text: str) -> Query:
    """The search, where a rule may have it. Raises GrammarError with the place."""
    query = parse(text)
    if not query:
        raise GrammarError("the search is empty: it would be all mail there ever was", 0, 0, _SAY)
    for term in query.terms:
        if why := _costly(term):
            raise GrammarError(why[0], term.start, term.end - term.start, why[1])
    if not is_counted(query) and not any(map(_is_narrow, query.groups())):
        first = query.terms[0]
        raise GrammarError(
            "an alert rule can't look through all mail that was ever delivered",
            first.start, first.end - first.start, _SAY,
        )  # fmt: skip
    condition_of(query)  # what can't be answered is told now
    return query


def counted(query: Query, limit: float, now: datetime) -> Tally:
    return tally(query, limit, now, SECONDS)


def _costly(term: Term) -> tuple[str, str] | None:
    """(why a rule can't have it, what to write instead)"""
    name = "a word without a key" if term.key == WORD else f"{term.key}:"
    if term.key in _TEXTS:
        return (
            f"{name} is compared with the text of every mail: too costly for a rule that is always looked at",
            "Name a state, class, code, domain or sender domain instead.",
        )
    if term.key not in _OF_MAIL:
        return None
    text = term.value.text if isinstance(term.value, AddressText) else term.value
    is_part = isinstance(term.value, AddressText) and term.value.kind == "part"
    if is_part or (isinstance(text, Text) and not text.is_exact):
        return (
            f"{name} with a part of a name is compared with every mail: too costly for a rule",
            f"Write it whole, such as {term.key}:{'@example.com' if term.key in ('from', 'to') else 'name'}.",
        )
    return None


def _is_narrow(group: list[Term]) -> bool:
    """Whether an index leaves out what is long delivered."""
    term, words = group[0], {str(each.value) for each in group}
    if term.is_negated:
        return False
    if term.key == "state":
        return words <= set(_LIVE)
    if term.key == "class":
        return words.isdisjoint({"none", "delivered"})
    if term.key == "attempts" and term.op in (">", ">=", "="):
        return all(isinstance(each.value, int) and each.value >= OFTEN for each in group)
    return term.key in ("id", "msgid", "next", "is", "route")
