"""What the page of deliveries shows beside the rows: sorts, chips, counts in words, groups, views.

Pure: from a page of rows and its parameters to values for the template.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from dashboard.filters import CAP, DEFAULT_ORDER, Mistake, Page
from dashboard.templatetags.times import grouped
from queueapp.grammar import Query
from queueapp.models import Delivery, SavedView

# column: (its order, the one of a second press, what the first means)
SORTS = {
    "size": ("-size", DEFAULT_ORDER, _("largest first")),
    "tries": ("-attempts", DEFAULT_ORDER, _("most tries first")),
    "age": ("-id", "id", _("newest first")),
    "next": ("next_attempt", "-next_attempt", _("next try first")),
}
ORDER_WORDS = {
    "-id": _("newest first"),
    "-age": _("newest first"),
    "id": _("oldest first"),
    "age": _("oldest first"),
    "next_attempt": _("next try first, then what waits for none"),
    "-next_attempt": _("latest next try first"),
    "-attempts": _("most tries first, then those with fewer than two"),
    "-size": _("largest first, then those under 100 KB"),
}
GROUP_WORDS = {
    "state": _("State"),
    "domain": _("Domain"),
    "site": _("Site"),
    "class": _("Class of reply"),
    "reply": _("Reply"),
    "sender": _("Sender"),
    "sender_domain": _("Sender domain"),
    "tag": _("Tag"),
    "campaign": _("Campaign"),
    "source": _("Way in"),
}
TEACHING = (
    (
        _("Due now"),
        "next<0s",
        "next_attempt",
        "",
        _("Waiting mail whose time has come: the runners take it next."),
    ),
    (_("Deferred over 2 h"), "state:deferred age>2h", "age", "", _("Late mail, the oldest first.")),
    (_("Why mail waits"), "state:deferred", "", "reply", _("The replies behind all retries, by how many.")),
    (_("Blocklisted"), "class:blocklisted", "", "", _("Receivers that name a blocklist or block us.")),
    (_("Held"), "state:held", "", "", _("Waits for a person to release it.")),
    (_("Bounced today"), "state:bounced age<1d", "", "", _("Given back to their senders since yesterday.")),
    (_("Ambiguous"), "is:ambiguous", "", "", _("May have arrived twice: we died before the reply was read.")),
)


def address(**params: str | None) -> str:
    """The page with these parameters; those without a value are left out."""
    kept = {name: value for name, value in params.items() if value}
    return reverse("deliveries") + (f"?{urlencode(kept)}" if kept else "")


def sorts(q: str, order: str) -> dict[str, dict[str, str]]:
    """By column: where a press leads, and what `aria-sort` says now."""
    found = {}
    for name, (first, second, words) in SORTS.items():
        is_first, is_second = order == first, order == second and second != DEFAULT_ORDER
        is_up = name in ("next",) if is_first else name == "age" if is_second else False
        other = second if is_first else first
        found[name] = {
            "url": address(q=q, order="" if other == DEFAULT_ORDER else other),
            "sort": ("ascending" if is_up else "descending") if is_first or is_second else "",
            "words": str(words),
        }
    return found


def chips(query: Query | None, order: str, group: str) -> list[dict[str, str]]:
    """The terms of the search, each with the page without it."""
    terms = query.terms if query else ()
    return [
        {
            "text": str(term),
            "url": address(
                q=str(Query(tuple(each for each in terms if each is not term))), order=order, group=group
            ),
        }
        for term in terms
    ]


def told(page: Page[Delivery]) -> str:
    """How many there are, and how well that is known."""
    n = grouped(page.count)
    if page.count_is_exact:
        return ngettext("%(n)s delivery", "%(n)s deliveries", page.count) % {"n": n}
    if page.about is not None:
        return gettext("About %(n)s deliveries") % {"n": roughly(page.about)}
    if page.count >= CAP:
        return gettext("More than %(n)s deliveries") % {"n": n}
    return gettext("At least %(n)s deliveries") % {"n": n}


def roughly(n: int) -> str:
    """1,200,000 is "1.2 million"."""
    if n >= 1_000_000:
        return gettext("%(n)s million") % {"n": f"{n / 1_000_000:g}"}
    return grouped(n)


def mistake_shown(mistake: Mistake, text: str) -> dict[str, Any]:
    """The search cut in three, so that the wrong part can be marked."""
    end = mistake.position + max(mistake.length, 1)
    return {
        "text": mistake.text,
        "is_search": mistake.field == "q",
        "before": text[: mistake.position],
        "wrong": text[mistake.position : end],
        "after": text[end:],
    }


def views(owner: str, q: str, order: str, group: str) -> dict[str, Any]:
    """Those that teach, and those that are kept; `here` is the one that the page shows now."""
    kept = [_view(view, owner, (q, order, group)) for view in SavedView.objects.seen_by(owner)[:200]]
    return {
        "teaching": [
            {"name": str(name), "url": address(q=text, order=by, group=shares), "why": str(why)}
            for name, text, by, shares, why in TEACHING
        ],
        "mine": [each for each in kept if each["is_mine"]],
        "shared": [each for each in kept if not each["is_mine"]],
        "here": next((each for each in kept if each["is_here"]), None),
    }


def _view(view: SavedView, owner: str, here: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "pk": view.pk,
        "name": view.name,
        "q": view.query,
        "url": address(q=view.query, order=view.order, group=view.group),
        "owner": view.owner.removeprefix("user:"),
        "is_mine": view.owner == owner,
        "is_shared": view.is_shared,
        "is_here": (view.query, view.order, view.group) == here,
    }
