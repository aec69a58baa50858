"""The filter form: fields for the mouse that write the search text for the keyboard.

The form owns the first plain term of each of its keys, and all of `state:`; whatever else stands in the
search stays as it is. What it writes is read by the same parser as what people type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from dashboard.pages.list_parts import address
from queueapp.grammar import SOURCES, STATES, GrammarError, Query, Term, Text, parse
from queueapp.mail.classes import CLASSES

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    Choices = tuple[tuple[str, StrOrPromise], ...]

# key: its label, and the choices, each as it stands behind the key; none: a text is written
CHOICES: dict[str, tuple[StrOrPromise, Choices]] = {
    "class": (
        _("Class of reply"),
        (*((f":{name}", name.replace("_", " ")) for name in CLASSES), (":none", _("no reply yet"))),
    ),
    "age": (
        _("Age"),
        (
            (">10m", _("over 10 minutes")),
            (">1h", _("over 1 hour")),
            (">2h", _("over 2 hours")),
            (">1d", _("over 1 day")),
            ("<10m", _("under 10 minutes")),
            ("<1h", _("under 1 hour")),
            ("<1d", _("under 1 day")),
        ),
    ),
    "attempts": (
        _("Tries"),
        (
            ("<1", _("not tried")),
            (">=1", _("1 or more")),
            (">=2", _("2 or more")),
            (">=5", _("5 or more")),
            (">=10", _("10 or more")),
        ),
    ),
    "next": (
        _("Next try"),
        (
            ("<0s", _("due now")),
            ("<10m", _("within 10 minutes")),
            ("<1h", _("within 1 hour")),
            (">1h", _("later than 1 hour")),
        ),
    ),
    "priority": (
        _("Priority"),
        ((":9", _("9, first")), (">=7", _("7 or more")), (":5", _("5, usual")), ("<5", _("under 5"))),
    ),
    "size": (_("Size"), ((">100KB", _("over 100 KB")), (">1MB", _("over 1 MB")), (">10MB", _("over 10 MB")))),
    "source": (_("Way in"), tuple((f":{name}", name) for name in SOURCES)),
    "has": (_("Has"), ((":attachment", _("an attachment")), (":reply", _("a reply")))),
}
TEXTS = {
    "domain": _("Recipient domain"),
    "site": _("Site"),
    "to": _("Recipient"),
    "from": _("Sender"),
    "subject": _("Subject"),
    "reason": _("Reply says"),
    "tag": _("Tag"),
    "campaign": _("Campaign"),
    "login": _("Login"),
}


@login_required
@require_safe
def apply(request: HttpRequest) -> HttpResponse:
    """The search with what the fields say, as an address."""
    given = request.GET
    return redirect(address(q=written(given), order=given.get("order"), group=given.get("group")))


def fields(query: Query | None) -> dict[str, Any]:
    """What the form shows for a search."""
    owned = {term.key: _behind(term) for term in reversed(_owned(query))}
    states = {str(term.value) for term in (query.terms if query else ()) if _is_state(term)}
    return {
        "states": [(state, state in states) for state in STATES],
        "choices": [
            (key, label, owned.get(key, ""), _with(choices, owned.get(key, "")))
            for key, (label, choices) in CHOICES.items()
        ],
        "texts": [(key, label, _shown(owned.get(key, ""))) for key, label in TEXTS.items()],
    }


def written(given: QueryDict | Mapping[str, Any]) -> str:
    """The search text of a form that was sent. What can't be read stays, for the page to mark."""
    text = str(given.get("q") or "")
    try:
        query = parse(text)
    except GrammarError:
        return text
    gone = {id(term) for term in _owned(query)} | {id(term) for term in query.terms if _is_state(term)}
    words = [str(term) for term in query.terms if id(term) not in gone]
    states = given.getlist("state") if isinstance(given, QueryDict) else given.get("state", [])
    words += [f"state:{state}" for state in states]
    words += [f"{key}{given[key]}" for key in CHOICES if given.get(key)]
    words += [
        f"{key}:{_value(str(given[key]).strip())}" for key in TEXTS if str(given.get(key) or "").strip()
    ]
    return " ".join(words)


def _owned(query: Query | None) -> list[Term]:
    found: dict[str, Term] = {}
    for term in query.terms if query else ():
        if not term.is_negated and (term.key in CHOICES or term.key in TEXTS):
            found.setdefault(term.key, term)
    return list(found.values())


def _is_state(term: Term) -> bool:
    return term.key == "state" and not term.is_negated


def _behind(term: Term) -> str:
    return str(term).removeprefix(term.key)


def _with(choices: Choices, now: str) -> Choices:
    """Also what was typed and is no usual choice."""
    return choices if not now or now in dict(choices) else (*choices, (now, now.lstrip(":")))


def _shown(behind: str) -> str:
    """A value as a field shows it: without the quotes of a plain text."""
    value = behind.removeprefix(":")
    if value.startswith('"') and "\\" not in value:
        return value[1:-1]
    return value


def _value(text: str) -> str:
    """As it was typed where the grammar reads it whole, with its wildcards; else as a text in quotes."""
    try:
        terms = parse(f"subject:{text}").terms
    except GrammarError:
        terms = ()
    return text if len(terms) == 1 and terms[0].key == "subject" else str(Text((text,)))
