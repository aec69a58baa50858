"""One message: envelope, what became of each recipient and why, content."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from dashboard.auth.actors import scopes_of
from dashboard.pages.content import SHOWN, as_text
from dashboard.pages.recipients import recipients_of
from queueapp.mail.mime import MessageView, view
from queueapp.models import AttemptTranscript, Body, Message


@login_required
@require_safe
def page(request: HttpRequest, pk: int) -> HttpResponse:
    message = get_object_or_404(Message, pk=pk)
    scopes = scopes_of(request.user)
    context: dict[str, Any] = {
        "message": message,
        "may_operate": "operate" in scopes,
        "here": request.get_full_path(),
        **recipients_of(message, request.GET),
    }
    is_part = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    if not is_part:
        context["mail"] = _mail(pk) if "bodies" in scopes else None
    response = render(request, "message/_recipients.html" if is_part else "message/page.html", context)
    response["Vary"] = "HX-Request"
    return response


@login_required
@require_safe
def transcript(request: HttpRequest, pk: int) -> HttpResponse:
    return as_text(get_object_or_404(AttemptTranscript, pk=pk).text)


def _mail(pk: int) -> MessageView:
    content = Body.objects.filter(message_id=pk).values_list("content", flat=True).first()
    return view(bytes(content or b""), limit=SHOWN)
