"""The audit: who did what and who was refused what, searched, page by page, and as a file.

A file is streamed in chunks, each a query of its own, so that its length costs neither memory nor a long
transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from queueapp.access import audit_log
from queueapp.access.change import Wrong
from queueapp.models import AuditEvent

_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson; charset=utf-8"}
_SHORT = 40


@needs("admin")
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    asked = audit_log.asked(request.GET)
    context: dict[str, Any] = {"asked": asked, "filters": urlencode(asked), "mistake": None}
    try:
        found = audit_log.page(
            actor(request), {**request.GET.dict(), "limit": request.GET.get("limit") or 50}
        )
    except Wrong as wrong:
        found = audit_log.Page()
        context["mistake"] = wrong
    context |= {
        "found": found,
        "next_url": f"{reverse('audit')}?{urlencode({**asked, 'cursor': found.next})}" if found.next else "",
        "is_continued": bool(request.GET.get("cursor")),
    }
    is_part = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    template = "audit/_results.html" if is_part else "audit/page.html"
    response = render(request, template, context, status=422 if context["mistake"] and not is_part else 200)
    response["Vary"] = "HX-Request"
    return response


@needs("admin")
@require_safe
def export(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    form = request.GET.get("form", "csv")
    try:
        if form not in _TYPES:
            raise Wrong("form", f"form {form[:_SHORT]!r} is neither csv nor jsonl")
        rows, newest = audit_log.begin_export(actor(request), request.GET, form)
    except Wrong as wrong:
        return HttpResponse(f"{wrong}\n", status=422, content_type="text/plain; charset=utf-8")
    response = StreamingHttpResponse(_stream(rows, newest, form), content_type=_TYPES[form])
    response["Content-Disposition"] = f'attachment; filename="audit-{timezone.now():%Y%m%d-%H%M}.{form}"'
    response["Cache-Control"] = "no-store"
    return response


async def _stream(rows: QuerySet[AuditEvent], upto: int, form: str) -> AsyncIterator[str]:
    is_first = True
    while True:
        found = await sync_to_async(audit_log.chunk)(rows, upto)
        is_csv = form == "csv"
        yield audit_log.cells(found, with_head=is_first) if is_csv else audit_log.lines(found)
        if len(found) < audit_log.CHUNK:
            return
        upto, is_first = found[-1].pk - 1, False
