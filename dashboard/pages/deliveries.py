"""The list of deliveries: search, and page by page. Acting on them comes with the queue manager."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dashboard.filters import Mistake, Page, page_of
from queueapp.mail.classify import CLASSES
from queueapp.models import Delivery

_SHOWN = ("q", "order", "limit")


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "")
    found = page_of(request.GET)
    context = {
        "q": text,
        "page": found,
        "rows": [_row(delivery) for delivery in found.items],
        "mistake": _shown(found.error, text) if found.error else None,
        "is_filtered": bool(text.strip()),
        "is_continued": bool(request.GET.get("cursor")),
        "next_url": _next(request, found),
    }
    is_part = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    template = "deliveries/_results.html" if is_part else "deliveries/page.html"
    response = render(request, template, context, status=400 if found.error and not is_part else 200)
    response["Vary"] = "HX-Request"
    return response


def _row(delivery: Delivery) -> dict[str, Any]:
    info = CLASSES.get(delivery.last_class)
    return {"delivery": delivery, "sentence": info.sentence if info else ""}


def _shown(mistake: Mistake, text: str) -> dict[str, Any]:
    """The search cut in three, so that the wrong part can be marked."""
    end = mistake.position + max(mistake.length, 1)
    return {
        "text": mistake.text,
        "is_search": mistake.field == "q",
        "before": text[: mistake.position],
        "wrong": text[mistake.position : end],
        "after": text[end:],
    }


def _next(request: HttpRequest, found: Page[Delivery]) -> str:
    if not found.next:
        return ""
    kept = {name: request.GET[name] for name in _SHOWN if request.GET.get(name)}
    return f"{reverse('deliveries')}?{urlencode({**kept, 'cursor': found.next})}"
