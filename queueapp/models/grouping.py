"""How many deliveries of a search belong to each domain, site, sender, class, reply …: the largest groups.

By state, domain and site from the counters, where they know the search: exact at any size. Else by counting
rows in slices, newest first, until the time is up: then `is_exact` is false and `reached_at` says how far
back it counted. Each group comes with the terms of the grammar that open it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Sum, Value
from django.db.models.functions import Coalesce

from queueapp.grammar import Term, Text
from queueapp.grammar.query import AddressText
from queueapp.mail.gist import gist, shown
from queueapp.models.counting import domains_in, is_counted, states_in
from queueapp.models.matching import CAMPAIGN_TAG
from queueapp.models.searching import Search, Slice, Walk, accepted_near

GROUP_TIME = 0.15  # seconds
MOST = 100

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """`terms` opens its deliveries, together with the search; None: the grammar has no word for it."""

    name: str
    n: int
    terms: str | None


@dataclass(frozen=True, slots=True)
class Groups:
    """The largest first. `n_rows` were counted; `n_groups` is of how many groups these are the largest."""

    items: list[Group] = field(default_factory=list)
    n_groups: int = 0
    n_rows: int = 0
    is_exact: bool = True
    reached_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class By:
    """`fields` of a delivery; `keys` of a group from their values; a group's name and its terms."""

    fields: tuple[str | Coalesce, ...]
    name: Callable[[Key], str]
    terms: Callable[[Key], str | None]
    keys: Callable[[Key], Iterable[Key]] = lambda values: (values,)
    of_messages: bool = False


def groups(search: Search, by: str, seconds: float | None = GROUP_TIME) -> Groups:
    """`by` is one of BY."""
    if by in _COUNTED and is_counted(search.query):
        return _told(_COUNTED[by](search), BY[by])
    return _walked(search, BY[by], seconds)


def _walked(search: Search, by: By, seconds: float | None) -> Groups:
    counted: Counter[Key] = Counter()
    walk = Walk(search, "-id", seconds=seconds, shows_messages=by.of_messages)

    def look(each: Slice) -> bool:
        for *values, n in each.rows.values_list(*by.fields).annotate(n=Count("id")).order_by():
            for key in by.keys(tuple(values)):
                counted[key] += n
        return False

    walk.each(look)
    reached = accepted_near("-id", walk.reached) if walk.is_cut else None
    return _told(counted, by, is_exact=not walk.is_cut, reached_at=reached)


def _told(counted: Counter[Key], by: By, **more: Any) -> Groups:
    largest = sorted(counted.items(), key=lambda each: (-each[1], str(each[0])))[:MOST]
    items = [Group(by.name(key), n, by.terms(key)) for key, n in largest if n]
    return Groups(items, sum(1 for n in counted.values() if n), counted.total(), **more)


# ── From the counters ─────────────────────────────────────────────────────────────────────────


def _states(search: Search) -> Counter[Key]:
    depth = domains_in(search.query).depth()
    return Counter({(state,): depth[state] for state in states_in(search.query)})


def _by_column(column: str) -> Callable[[Search], Counter[Key]]:
    def found(search: Search) -> Counter[Key]:
        states = sorted(states_in(search.query))
        if not states:
            return Counter()
        total = sum((F(f"n_{state}") for state in states[1:]), start=F(f"n_{states[0]}"))
        rows = domains_in(search.query).order_by().values_list(column).annotate(n=Sum(total))
        return Counter({(name or "",): n for name, n in rows})

    return found


_COUNTED: dict[str, Callable[[Search], Counter[Key]]] = {
    "state": _states,
    "domain": _by_column("name"),
    "site": _by_column("site__name"),
}

# ── Names and terms ───────────────────────────────────────────────────────────────────────────


def _term(key: str, value: str) -> str:
    return str(Term(key, "=", Text((value,))))


def _one(
    field: str,
    key: str,
    none: str,
    none_terms: str | None,
    keys: Callable[[Key], Iterable[Key]] = lambda values: (values,),
) -> By:
    return By(
        (_unordered(field),),
        lambda found: str(found[0] or none),
        lambda found: _term(key, str(found[0])) if found[0] else none_terms,
        keys,
        of_messages=field.startswith("message"),
    )


def _unordered(field: str) -> Coalesce:
    """Not the column itself: SQLite would walk an index of it, over all rows, only to have them grouped."""
    return Coalesce(field, Value(""))


def _sender_domain(found: Key) -> str:
    return str(Term("from", "=", AddressText("domain", Text((found[0],))))) if found[0] else "from:<>"


def _reply_keys(values: Key) -> Iterable[Key]:
    code, enhanced, text = values
    return ((code, enhanced, gist(text)),) if text or code else ((None, "", ()),)


def _reply_name(found: Key) -> str:
    code, enhanced, parts = found
    told = " ".join(part for part in (str(code or ""), enhanced, shown(parts)) if part)
    return told or "no reply yet"


def _reply_terms(found: Key) -> str | None:
    code, enhanced, parts = found
    if not code and not parts:
        return "-has:reply"
    told = [f"code:{code}"] if code else []
    if parts:
        told.append(str(Term("reason", "=", Text(parts if len(parts) > 1 else (parts[0],)))))
    return " ".join(told)


def _tags(values: Key) -> Iterable[Key]:
    return [(tag,) for tag in values[0]] or [("",)]


def _campaigns(values: Key) -> Iterable[Key]:
    found = {tag[len(CAMPAIGN_TAG) :] for tag in values[0] if tag.lower().startswith(CAMPAIGN_TAG)}
    return [(name,) for name in found] or [("",)]


BY: dict[str, By] = {
    "domain": _one("domain__name", "domain", "", None),
    "site": _one("domain__site__name", "site", "not known yet", "-site:*"),
    # In any case of its letters, as `from:` finds it.
    "sender": _one(
        "message__sender", "from", "<> (null sender)", "from:<>", lambda values: ((values[0].lower(),),)
    ),
    "sender_domain": By(
        (_unordered("message__sender_domain"),),
        lambda found: found[0] or "none",
        _sender_domain,
        of_messages=True,
    ),
    "class": By(
        ("last_class",),
        lambda found: found[0].replace("_", " ") or "no reply yet",
        lambda found: f"class:{found[0] or 'none'}",
    ),
    "reply": By(("last_code", "last_enhanced", "last_text"), _reply_name, _reply_terms, _reply_keys),
    "state": _one("state", "state", "", None),
    "tag": By(
        ("message__tags",),
        lambda found: found[0] or "no tag",
        lambda found: _term("tag", found[0]) if found[0] else "-tag:*",
        _tags,
        of_messages=True,
    ),
    "campaign": By(
        ("message__tags",),
        lambda found: found[0] or "no campaign",
        lambda found: _term("campaign", found[0]) if found[0] else "-campaign:*",
        _campaigns,
        of_messages=True,
    ),
    "source": _one("message__source", "source", "", None),
}
