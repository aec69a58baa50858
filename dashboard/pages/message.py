"""One message: envelope, what became of each recipient and why, content, source."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from dashboard.auth.actors import scopes_of
from dashboard.auth.gate import needs
from dashboard.pages.content import as_download, as_html, as_source
from dashboard.snapshot.links import deliveries, quoted
from queueapp.mail.classify import CLASSES
from queueapp.mail.mime import view
from queueapp.models import Attempt, Body, Delivery, Message, Runner

MOST_RECIPIENTS = 50
MOST_ATTEMPTS = 20


@login_required
@require_safe
def page(request: HttpRequest, pk: int) -> HttpResponse:
    message = get_object_or_404(Message, pk=pk)
    context: dict[str, Any] = {"message": message, **_recipients(message)}
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "message/_recipients.html", context)
    context["mail"] = view(_raw(pk)) if "bodies" in scopes_of(request.user) else None
    return render(request, "message/page.html", context)


@needs("bodies")
@require_safe
def html(request: HttpRequest, pk: int) -> HttpResponse:
    found = view(_raw(pk)).html
    if not found:
        raise Http404("this message has no HTML part")
    return as_html(found)


@needs("bodies")
@require_safe
def source(request: HttpRequest, pk: int) -> HttpResponse:
    return as_source(_raw(pk))


@needs("bodies")
@require_safe
def eml(request: HttpRequest, pk: int) -> HttpResponse:
    return as_download(_raw(pk), f"message-{pk}")


def _raw(pk: int) -> bytes:
    return bytes(get_object_or_404(Body, message_id=pk).content)


def _recipients(message: Message) -> dict[str, Any]:
    latest = Attempt.objects.order_by("-id")[:MOST_ATTEMPTS]
    found = list(
        message.deliveries.select_related("domain")
        .prefetch_related(Prefetch("attempts", latest, to_attr="latest"))
        .order_by("id")[:MOST_RECIPIENTS]
    )
    tokens = {attempt.runner_id for delivery in found for attempt in delivery.latest}
    runners = Runner.objects.in_bulk([token for token in tokens if token])
    return {
        "recipients": [_recipient(delivery, runners) for delivery in found],
        "n_more": message.n_recipients - len(found),
        "all_url": deliveries(f"msgid:{quoted(message.message_id)}") if message.message_id else "",
        "is_open": any(not delivery.is_final for delivery in found),
    }


def _recipient(delivery: Delivery, runners: dict[int, Runner]) -> dict[str, Any]:
    attempts = delivery.latest  # type: ignore[attr-defined]
    return {
        "delivery": delivery,
        "info": CLASSES.get(delivery.last_class),
        "attempts": [_attempt(attempt, runners) for attempt in attempts],
        "n_earlier": max(0, delivery.n_attempts - len(attempts)),
    }


def _attempt(attempt: Attempt, runners: dict[int, Runner]) -> dict[str, Any]:
    reply = (str(attempt.code or ""), attempt.enhanced, attempt.text)
    return {
        "row": attempt,
        "info": CLASSES.get(attempt.reply_class),
        "reply": " ".join(part for part in reply if part),
        "runner": runners.get(attempt.runner_id or 0),
    }
