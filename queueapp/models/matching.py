"""From the search grammar to the database: a Query becomes the condition on Delivery.

The condition alone says what a search selects: for list, count, groups, export and bulk actions alike. How
to find the rows soon is another matter (models/searching.py).

Promises: selects the same rows on SQLite and PostgreSQL; every value goes as a parameter; what can't
be answered (there is one host) is a GrammarError with its place, not an empty list. Text is found in
any case of its letters. Addresses, domains, sites, tags and message ids must match whole; subjects,
reasons, words and parts of addresses anywhere. `next` means waiting deliveries only: no other has a
next attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

from django.db.models import Q, QuerySet
from django.utils import timezone

from queueapp.grammar import AddressText, GrammarError, Query, Term, Text, parse
from queueapp.models.delivery import UNSENT, UNTROUBLED, WAITING
from queueapp.models.domain import RecipientDomain
from queueapp.models.lookups import contains, has_one, is_like
from queueapp.models.message import LARGE, Message
from queueapp.models.route import Route

HOSTS = ("native",)
CAMPAIGN_TAG = "campaign:"
"""A campaign's mail has the tag of its name behind this (docs/decisions/0026)."""

_MOST_ROUTES = 1000
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
        found &= group_condition(group, now)
    return found


def group_condition(group: list[Term], now: datetime) -> Q:
    """One group of terms: any of them."""
    found = Q()
    for term in group:
        found |= _term(term, now)
    return found


def index_words(query: Query) -> Q:
    """What the condition implies, in the words of the partial indexes: SQLite knows them only by these."""
    found = Q()
    for group in query.groups():
        named = {str(term.value) for term in group}
        if group[0].is_negated:
            continue
        if group[0].key == "state" and named <= set(UNSENT):
            found &= Q(state__among=UNSENT)
        if group[0].key == "state" and named <= set(WAITING):
            found &= Q(state__among=WAITING)
        if group[0].key == "class" and named.isdisjoint({"none", *UNTROUBLED}):
            found &= ~Q(last_class__among=UNTROUBLED)
    return found


def domains_of(term: Term) -> QuerySet[RecipientDomain] | None:
    """The recipient domains that a term names; None where it names no domains."""
    domains = RecipientDomain.objects.order_by()
    if term.key == "domain":
        return domains.filter(_name("name", cast(Text, term.value)))
    if term.key == "site":
        return domains.filter(is_like("site__name", cast(Text, term.value).parts))
    if isinstance(term.value, AddressText) and term.key == "to" and term.value.kind == "domain":
        return domains.filter(_name("name", term.value.text))
    return None


def messages_of(term: Term) -> QuerySet[Message] | None:
    """Messages that an index finds, among them all that a term names; None where no index does."""
    messages = Message.objects.order_by()
    if term.key == "msgid":
        text = cast(Text, term.value)
        return messages.filter(message_id=text.parts[0]) if text.is_exact else None
    if term.key == "size" and term.op in (">", ">=") and cast(int, term.value) >= LARGE:
        return messages.filter(Q(size__gte=LARGE) & Q(**{f"size__{_LOOKUPS[term.op]}": term.value}))
    if term.key != "from":
        return None
    value = cast(AddressText, term.value)
    if value.kind == "null":
        return messages.filter(sender="")
    if value.kind == "part" or not value.text.is_exact:
        return None
    # Of an address only the domain: the index knows no other case of its letters.
    domain = value.text.parts[0] if value.kind == "domain" else _domain_of(value)
    return messages.filter(sender_domain=domain)


def _term(term: Term, now: datetime) -> Q:
    found = _BY_KEY[term.key](term, now)
    return ~found if term.is_negated else found


def _name(field: str, text: Text) -> Q:
    """A whole name. Names without wildcards are kept in small letters: an index finds them."""
    return Q(**{field: text.parts[0]}) if text.is_exact else is_like(field, text.parts)


def _plain_name(field: str, text: Text) -> Q:
    return Q(**{f"{field}__plainly": text.parts[0]}) if text.is_exact else is_like(field, text.parts)


def _domains(term: Term, now: datetime) -> Q:
    named = domains_of(term)
    assert named is not None
    return Q(domain__in=named.values("id"))


def _class(term: Term, now: datetime) -> Q:
    return Q(last_class="" if term.value == "none" else term.value)


def _from(term: Term, now: datetime) -> Q:
    value = cast(AddressText, term.value)
    if value.kind == "null":
        return Q(message__sender__plainly="")
    if value.kind == "domain":
        return _plain_name("message__sender_domain", value.text)
    if value.kind == "part":
        return contains("message__sender", value.text.parts)
    found = is_like("message__sender", value.text.parts)
    if value.text.is_exact:
        found &= Q(message__sender_domain__plainly=_domain_of(value))  # soon told, where it is another
    return found


def _to(term: Term, now: datetime) -> Q:
    value = cast(AddressText, term.value)
    if value.kind == "null":
        return Q(recipient="")
    if value.kind == "domain":
        return _domains(term, now)
    if value.kind == "part":
        return contains("recipient", value.text.parts)
    found = is_like("recipient", value.text.parts)
    if value.text.is_exact:
        found &= Q(domain__in=RecipientDomain.objects.filter(name=_domain_of(value)).values("id"))
    return found


def routed(term: Term) -> Q:
    """By the route that was chosen for the delivery itself."""
    rows = Route.objects.filter(is_like("name", cast(Text, term.value).parts)).exclude(name="")
    return Q(route__isnull=False) & Q(route_id__in=list(rows.values_list("id", flat=True)[:_MOST_ROUTES]))


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
    # RFC 5322 3.6.4: what is left of the @ has its case, so without wildcards it must be the same.
    return _plain_name("message__message_id", cast(Text, term.value))


def _campaign(term: Term, now: datetime) -> Q:
    first, *rest = cast(Text, term.value).parts
    return has_one("message__tags", (CAMPAIGN_TAG + first, *rest))


def _has(term: Term, now: datetime) -> Q:
    return Q(message__has_attachment=True) if term.value == "attachment" else ~Q(last_text="")


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
    "domain": _domains,
    "site": _domains,
    "from": _from,
    "to": _to,
    "subject": _contained("message__subject"),
    "class": _class,
    "code": _code,
    "reason": _reason,
    "age": _age,
    "attempts": _compared("n_attempts"),
    "size": _compared("message__size"),
    "next": _next,
    "priority": _compared("priority"),
    "route": lambda term, now: routed(term),
    "campaign": _campaign,
    "source": _compared("message__source"),
    "tag": lambda term, now: has_one("message__tags", cast(Text, term.value).parts),
    "login": lambda term, now: is_like("message__login", cast(Text, term.value).parts),
    "host": _host,
    "id": _compared("id"),
    "msgid": _msgid,
    "has": _has,
    "is": lambda term, now: Q(is_ambiguous=True),
    "word": _word,
}
