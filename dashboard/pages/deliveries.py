"""The list of deliveries: search, sort, group, and page by page; its whole state is in the address."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.auth.actors import actor
from dashboard.filters import DEFAULT_ORDER, GROUPS, Page, groups_of, page_of
from dashboard.pages import list_parts, search_form
from dashboard.pages.delivery_rows import line
from queueapp.models import Delivery


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    context = _grouped(request) if request.GET.get("group") else _listed(request)
    is_part = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    context |= {"is_part": bool(is_part), **_around(request, context)}
    template = "deliveries/_part.html" if is_part else "deliveries/page.html"
    response = render(request, template, context, status=400 if context["mistake"] and not is_part else 200)
    response["Vary"] = "HX-Request"
    return response


def _listed(request: HttpRequest) -> dict[str, Any]:
    text = request.GET.get("q", "")
    found = page_of(request.GET)
    order = found.order if found.order != DEFAULT_ORDER else ""
    return {
        "page": found,
        "query": found.query,
        "order": order,
        "rows": [line(delivery) for delivery in found.items],
        "mistake": list_parts.mistake_shown(found.error, text) if found.error else None,
        "told": list_parts.told(found),
        "order_words": list_parts.ORDER_WORDS[found.order],
        "sorts": list_parts.sorts(str(found.query or ""), found.order),
        "next_url": _next(request, found),
        "first_url": list_parts.address(q=text, order=order, limit=request.GET.get("limit")),
        "is_continued": bool(request.GET.get("cursor")),
    }


def _next(request: HttpRequest, found: Page[Delivery]) -> str:
    if not found.next:
        return ""
    kept = {name: request.GET.get(name) for name in ("q", "order", "limit")}
    return list_parts.address(**kept, cursor=found.next)


def _grouped(request: HttpRequest) -> dict[str, Any]:
    text, by = request.GET.get("q", ""), request.GET.get("group", "")
    shared = groups_of({"q": text, "by": by})
    found = shared.found
    most = max((each.n for each in found.items), default=1)
    return {
        "query": shared.query,
        "group": shared.by,
        "order": request.GET.get("order", ""),
        "mistake": list_parts.mistake_shown(shared.error, text) if shared.error else None,
        "shared": found,
        "group_word": list_parts.GROUP_WORDS.get(by, ""),
        "groups": [
            {"group": each, "url": list_parts.address(q=q) if (q := shared.opened(each)) else "",
             "share": each.n, "most": most}
            for each in found.items
        ],
    }  # fmt: skip


def _around(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What stands around the rows: the search, its chips, the form, the groups, the views."""
    who, text = actor(request), request.GET.get("q", "")
    canonical, order, group = str(context["query"] or ""), context["order"], context.get("group", "")
    return {
        "q": text,
        "canonical": canonical,
        "is_filtered": bool(text.strip()),
        "chips": list_parts.chips(context["query"], order, group),
        "fields": search_form.fields(context["query"]),
        "group_choices": [
            (by, list_parts.GROUP_WORDS[by], list_parts.address(q=text, group=by)) for by in GROUPS
        ],
        "list_url": list_parts.address(q=text, order=order),
        "views": list_parts.views(who.name, canonical, order, group),
        "may_share": "operate" in who.scopes,
    }
