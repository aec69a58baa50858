"""The latest attempts, newest first, with what the receiver said."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from queueapp.mail.classify import CLASSES
from queueapp.models import Attempt

LATEST = 15
_FIELDS = (
    "at", "result", "reply_class", "code", "enhanced", "text", "host", "is_ambiguous",
    "delivery__recipient", "delivery__message__subject",
)  # fmt: skip


def latest() -> list[dict[str, Any]]:
    rows = Attempt.objects.select_related("delivery__message").only(*_FIELDS).order_by("-id")[:LATEST]
    return [_row(attempt) for attempt in rows]


def _row(attempt: Attempt) -> dict[str, Any]:
    info = CLASSES.get(attempt.reply_class)
    reply = (str(attempt.code or ""), attempt.enhanced, attempt.text)
    return {
        "id": attempt.pk,
        "at": attempt.at,
        "result": attempt.result,
        "recipient": attempt.delivery.recipient,
        "subject": attempt.delivery.message.subject,
        "url": f"{reverse('message', args=[attempt.delivery.message_id])}#delivery-{attempt.delivery_id}",
        "sentence": info.sentence if info else "",
        "reply": " ".join(part for part in reply if part),
        "host": attempt.host,
        "is_ambiguous": attempt.is_ambiguous,
    }
