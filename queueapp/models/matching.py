"""From the search grammar to the database: a Query becomes the condition on Delivery.

Promises: selects the same rows on SQLite and PostgreSQL; every value goes as a parameter; what can't
be answered (there are no campaigns yet, and one host) is a GrammarError with its place, not an empty
list. Text is found in any case of its letters. Addresses, domains, sites, tags and message ids must
match whole; subjects, reasons, words and parts of addresses anywhere. `next` means waiting deliveries
only: no other has a next attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

from django.db.models import Q
from django.utils import timezone

from queueapp.grammar import AddressText, GrammarError, Query, Term, Text, parse
from queueapp.models.delivery import WAITING
from queueapp.models.domain import RecipientDomain
from queueapp.models.lookups import contains, has_one, is_like

HOSTS = ("native",)

_LOOKUPS = {"=": "exact", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
# An age above two hours is an acceptance before two hours ago.
_TURNED = {"<": "gt", "<=": "gte", ">": "lt", ">=": "lte"}


def condition(text: str, now: datetime | None = None) -> Q:
    """The deliveries that a search selects. Raises GrammarError."""
    return condition_of(parse(text), now)


def condition_of(query: Query, now: datetime | None = None) -> Q:
    """The same for a parsed search; `now` is what ages and next attempts are reckoned from."""
    now = now or timezone.now()
    found = Q()
    for group in query.groups():
        one = Q()
        for term in group:
            one |= _term(term, now)
        found &= one
    return found


def domain_condition(term: Term) -> Q:
    """The rows of RecipientDomain that a `domain:` term names."""
    return _name("name", cast(Text, term.value))


def _term(term: Term, now: datetime) -> Q:
    try:
        found = _BY_KEY[term.key](term, now)
    except KeyError:
        raise GrammarError(
            f"{term.key}: can't be searched for yet", term.start, term.end - term.start
        ) from None
    return ~found if term.is_negated else found


def _name(field: str, text: Text) -> Q:
    """A whole name. Names without wildcards are kept in small letters: an index finds them."""
    return Q(**{field: text.parts[0]}) if text.is_exact else is_like(field, text.parts)


def _domain(term: Term, now: datetime) -> Q:
    return Q(domain__in=RecipientDomain.objects.filter(domain_condition(term)).values("id"))


def _site(term: Term, now: datetime) -> Q:
    named = is_like("site__name", cast(Text, term.value).parts)
    return Q(domain__in=RecipientDomain.objects.filter(named).values("id"))


def _from(term: Term, now: datetime) -> Q:
    value = cast(AddressText, term.value)
    if value.kind == "null":
        return Q(message__sender="")
    if value.kind == "domain":
        return _name("message__sender_domain", value.text)
    if value.kind == "part":
        return contains("message__sender", value.text.parts)
    found = is_like("message__sender", value.text.parts)
    if value.text.is_exact:
        found &= Q(message__sender_domain=_domain_of(value))  # an index helps with this one
    return found


def _to(term: Term, now: datetime) -> Q:
    value = cast(AddressText, term.value)
    if value.kind == "null":
        return Q(recipient="")
    if value.kind == "domain":
        return Q(domain__in=RecipientDomain.objects.filter(_name("name", value.text)).values("id"))
    if value.kind == "part":
        return contains("recipient", value.text.parts)
    found = is_like("recipient", value.text.parts)
    if value.text.is_exact:
        found &= Q(domain__in=RecipientDomain.objects.filter(name=_domain_of(value)).values("id"))
    return found


def _domain_of(value: AddressText) -> str:
    return value.text.parts[0].rpartition("@")[2]


def _code(term: Term, now: datetime) -> Q:
    is_plain = isinstance(term.value, int)
    return Q(last_code=term.value) if is_plain else Q(last_enhanced=term.value)


def _reason(term: Term, now: datetime) -> Q:
    parts = cast(Text, term.value).parts
    return contains("last_text", parts) | contains("hold_reason", parts)


def _age(term: Term, now: datetime) -> Q:
    return Q(**{f"accepted_at__{_TURNED[term.op]}": now - timedelta(seconds=cast(int, term.value))})


def _next(term: Term, now: datetime) -> Q:
    until = now + timedelta(seconds=cast(int, term.value))
    return Q(state__in=WAITING, **{f"next_attempt_at__{_LOOKUPS[term.op]}": until})


def _msgid(term: Term, now: datetime) -> Q:
    text = cast(Text, term.value)
    # RFC 5322 3.6.4: what is left of the @ has its case, so without wildcards it must be the same.
    return (
        Q(message__message_id=text.parts[0]) if text.is_exact else is_like("message__message_id", text.parts)
    )


def _host(term: Term, now: datetime) -> Q:
    asked = str(term.value).lower()
    if asked not in HOSTS:
        raise GrammarError(
            f"there is no host {asked[:40]!r}: one of {', '.join(HOSTS)}", term.start, term.end - term.start
        )
    return Q(pk__isnull=False)


def _word(term: Term, now: datetime) -> Q:
    parts = cast(Text, term.value).parts
    in_message = contains("message__sender", parts) | contains("message__subject", parts)
    return in_message | contains("recipient", parts)


def _compared(field: str) -> Callable[[Term, datetime], Q]:
    return lambda term, now: Q(**{f"{field}__{_LOOKUPS[term.op]}": term.value})


def _contained(field: str) -> Callable[[Term, datetime], Q]:
    return lambda term, now: contains(field, cast(Text, term.value).parts)


_BY_KEY: dict[str, Callable[[Term, datetime], Q]] = {
    "state": _compared("state"),
    "domain": _domain,
    "site": _site,
    "from": _from,
    "to": _to,
    "subject": _contained("message__subject"),
    "class": _compared("last_class"),
    "code": _code,
    "reason": _reason,
    "age": _age,
    "attempts": _compared("n_attempts"),
    "size": _compared("message__size"),
    "next": _next,
    "priority": _compared("priority"),
    "source": _compared("message__source"),
    "tag": lambda term, now: has_one("message__tags", cast(Text, term.value).parts),
    "host": _host,
    "id": _compared("id"),
    "msgid": _msgid,
    "has": lambda term, now: Q(message__has_attachment=True),
    "is": lambda term, now: Q(is_ambiguous=True),
    "word": _word,
}
