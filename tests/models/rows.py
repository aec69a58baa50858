"""Rows of the queue for tests: made as the gate makes them, then put into the state that is wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from queueapp.engine import domains
from queueapp.engine.counters import recount
from queueapp.models import Attempt, Body, Delivery, Message, RecipientDomain

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def delivery(
    to: str = "bob@example.net",
    *,
    state: str = "queued",
    message: Message | None = None,
    sender: str = "ann@example.com",
    content: bytes = b"Subject: x\r\n\r\nx\r\n",
    **values: Any,
) -> Delivery:
    """One delivery, with its message unless one is given; the domain's counters are exact."""
    of_message = {name: values.pop(name) for name in _OF_MESSAGE & values.keys()}
    now = values.pop("accepted_at", timezone.now())
    message = message or _message(sender, now, content, of_message)
    name = to.rpartition("@")[2]
    domain, _ = RecipientDomain.objects.get_or_create(name=name)
    row = Delivery.objects.create(
        message=message,
        recipient=to,
        domain=domain,
        state=state,
        accepted_at=now,
        expires_at=values.pop("expires_at", now + timedelta(days=5)),
        **values,
    )
    recount([domain.pk])
    return row


_OF_MESSAGE = {"subject", "message_id", "size", "source", "tags", "login", "has_attachment", "from_header"}


def _message(sender: str, now: datetime, content: bytes, values: dict[str, Any]) -> Message:
    message = Message.objects.create(
        accepted_at=now,
        sender=sender,
        sender_domain=sender.rpartition("@")[2],
        n_recipients=1,
        **{"size": len(content), "source": "smtp", **values},
    )
    Body.objects.create(message=message, content=content)
    return message


def attempt(row: Delivery, **values: Any) -> Attempt:
    return Attempt.objects.create(
        delivery=row, **{"at": timezone.now(), "result": "deferred", "reply_class": "busy", **values}
    )


def forget() -> None:
    """Ids of domains that another test rolled back."""
    domains.forget()
