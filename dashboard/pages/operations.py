"""Bulk operations: the list with its history, and one with its query, result and exceptions; undo, cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from dashboard.pages.op_words import WORDS, WORDS_OF_TRIAL, title
from dashboard.snapshot.links import deliveries
from dashboard.snapshot.operations import shown
from queueapp.access.actions import AccessError
from queueapp.access.change import Actor, Missing
from queueapp.models import Operation
from queueapp.operations import actions, exceptions, trials

ROWS = 50
EXCEPTIONS = 100


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    before = _whole(request.GET.get("before", ""))
    rows = Operation.objects.select_related("undone_by").order_by("-id")
    found = list((rows.filter(pk__lt=before) if before else rows)[: ROWS + 1])
    context = {
        "rows": [line(row) for row in found[:ROWS]],
        "before": found[ROWS - 1].pk if len(found) > ROWS else None,
        "is_continued": bool(before),
    }
    is_part = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    response = render(request, "operations/_list.html" if is_part else "operations/page.html", context)
    response["Vary"] = "HX-Request"
    return response


@login_required
@require_safe
def one(request: HttpRequest, pk: int) -> HttpResponse:
    row = _named(pk)
    start = _whole(request.GET.get("after", ""))
    context = {
        **line(row), "left": exceptions.page(row, start, EXCEPTIONS), "is_continued": bool(start),
        "trials": [(each, WORDS_OF_TRIAL[each.state]) for each in trials.trials(row)],
    }  # fmt: skip
    is_part = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    response = render(request, "operations/_one.html" if is_part else "operations/one.html", context)
    response["Vary"] = "HX-Request"
    return response


@needs("operate")
@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        made = actions.undo(actor(request), pk)
    except AccessError as error:
        return _refused(request, pk, error)
    return redirect("operation", made.pk)


@needs("operate")
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        actions.cancel(actor(request), pk)
    except AccessError as error:
        return _refused(request, pk, error)
    return redirect("operation", pk)


@needs("operate")
@require_POST
def go_on(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    return _decided(request, pk, number, trials.go_on)


@needs("operate")
@require_POST
def stop(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    return _decided(request, pk, number, trials.stop)


def _decided(
    request: HttpRequest, pk: int, number: int, decide: Callable[[Actor, int, int], Operation]
) -> HttpResponse:
    try:
        decide(actor(request), pk, number)
    except AccessError as error:
        return _refused(request, pk, error)
    return redirect("operation", pk)


def line(row: Operation) -> dict[str, Any]:
    """An operation for people: as the API tells it, with its title and where its search leads."""
    told = shown(row, timezone.now())
    return {
        "operation": told,
        "title": title(row.action, row.n_matched),
        "words": WORDS.get(row.action),
        "q_url": deliveries(row.q) if not row.is_chosen else "",
        "n_seen": row.n_seen,
        "undone_by": getattr(row, "undone_by", None),
    }


def _named(pk: int) -> Operation:
    row = Operation.objects.select_related("undone_by").filter(pk=pk).first()
    if row is None:
        raise Http404(f"there is no operation {pk}")
    return row


def _refused(request: HttpRequest, pk: int, error: AccessError) -> HttpResponse:
    if isinstance(error, Missing):
        raise Http404(str(error))
    messages.error(request, str(error))
    return redirect("operation", pk)


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
