"""The board: domains or sites, what waits for them and why, and what can be done about it right there.

Drawn once here; the browser asks `rows` again when the socket says that something changed
(static/js/board.js), so rows change in place and never move under a pointer.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from dashboard.auth.actors import scopes_of
from dashboard.snapshot import board, effects, forecast, why
from dashboard.snapshot.history import METRICS, SPANS
from dashboard.snapshot.paging import ORDERS, STATES

KINDS = ("domain", "site")
VIEWS = ("board", "shape")
_KEPT = ("by", "view", "q", "state", "order", "limit")
_ACTS = {
    "domain": ("retry", "suspend", "resume", "limits", "route"),
    "site": ("retry", "suspend", "resume", "lift", "limits"),
}
ORDER_WORDS = {
    "open": _("most open"),
    "deferred": _("most deferred"),
    "name": _("name"),
    "rate": _("most delivered a minute"),
    "slow": _("slowest to deliver"),
    "next": _("next attempt"),
}


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    kind = _one(request, "by", KINDS)
    found = board.page(kind, request.GET)
    context = {
        "kind": kind,
        "page": found,
        "rows": [with_acts(kind, row) for row in found.rows],
        "scopes": scopes_of(request.user),
        "badges": STATES[3:],
        "buckets": board.buckets(),
        **_bar(request, kind),
        "next_url": _link(request, cursor=found.next) if found.next else "",
        "rows_url": f"{reverse('board-rows')}?{request.GET.urlencode()}",
        **effects.strip(),
    }
    return render(request, "board/page.html", context, status=400 if found.error else 200)


def detail_page(request: HttpRequest, kind: str, found: dict[str, Any] | None, name: str) -> HttpResponse:
    """The page of one domain or site."""
    if found is None:
        raise Http404(f"There is no {name}.")
    key = found["name"] if kind == "domain" else str(found["id"])
    context = {
        "row": with_acts(kind, found),
        "why": why.of_scope(kind, key, timezone.now()),
        "diagnosis_url": why.diagnosis_page(kind, key),
        "drain": forecast.of_scope(kind, key, timezone.now()),
        "kind": kind,
        "scopes": scopes_of(request.user),
        "spans": SPANS,
        "metrics": METRICS,
    }
    return render(request, "board/detail.html", context)


def _bar(request: HttpRequest, kind: str) -> dict[str, Any]:
    """What the form on top shows."""
    chosen = {name: request.GET.get(name, "") for name in _KEPT}
    return {
        "chosen": chosen,
        "view": _one(request, "view", VIEWS),
        "states": STATES,
        "orders": ORDER_WORDS.items(),
        "tabs": [(each, _link(request, by=each)) for each in KINDS],
        "views": [(each, _link(request, by=kind, view=each)) for each in VIEWS],
        "is_filtered": bool(chosen["q"].strip() or chosen["state"] not in ("", "open")),
        "is_continued": bool(request.GET.get("cursor")),
        "first_url": _link(request),
    }


@login_required
@require_safe
def rows(request: HttpRequest) -> HttpResponse:
    """The same rows as data, for the page that is open."""
    kind = _one(request, "by", KINDS)
    found = board.page(kind, request.GET)
    told = {"rows": [with_acts(kind, row) for row in found.rows], "count": found.count}
    body = orjson.dumps(told, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
    status = 400 if found.error else 200
    return HttpResponse(body, content_type="application/json", status=status)


def with_acts(kind: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row with the addresses of what can be done."""
    base = row["url"]
    can = {f"{act}_url": f"{base}/{act}" for act in _ACTS[kind]} if "?" not in base else {}
    return {**row, **can, "is_running": not row["is_suspended"]}


def _one(request: HttpRequest, name: str, allowed: tuple[str, ...]) -> str:
    given = request.GET.get(name, "")
    return given if given in allowed else allowed[0]


def _link(request: HttpRequest, **changed: str | None) -> str:
    """The same page with something changed; another kind, order or filter begins at its first page."""
    kept = {name: request.GET[name] for name in _KEPT if request.GET.get(name)}
    whole = {name: value for name, value in {**kept, **changed}.items() if value}
    return f"{reverse('board')}?{urlencode(whole)}"


assert set(ORDER_WORDS) == set(ORDERS)
