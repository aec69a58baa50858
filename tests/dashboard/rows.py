"""Rows for the dashboard's tests, with as little said as the test needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from queueapp.models import Attempt, Body, Delivery, Message, RecipientDomain, Runner, Site

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
SOURCE = b"From: a@example.org\r\nTo: b@example.com\r\nSubject: Hello\r\n\r\nGood morning\r\n"


def now() -> datetime:
    return datetime.now(UTC)


def a_domain(name: str = "example.com", **values: Any) -> RecipientDomain:
    return RecipientDomain.objects.get_or_create(name=name, defaults=values)[0]


def a_site(name: str = "mx.example", **values: Any) -> Site:
    return Site.objects.create(key=f"mx:{name}", name=name, route="mx", **values)


def a_message(content: bytes = SOURCE, **values: Any) -> Message:
    defaults: dict[str, Any] = {
        "accepted_at": now(), "sender": "a@example.org", "sender_domain": "example.org", "subject": "Hello",
        "size": len(content), "n_recipients": 1, "source": "smtp", "client": "127.0.0.1",
    }  # fmt: skip
    message = Message.objects.create(**{**defaults, **values})
    Body.objects.create(message=message, content=content)
    return message


def a_delivery(message: Message | None = None, domain: str = "example.com", **values: Any) -> Delivery:
    """With the domain's counter of its state, as the engine keeps it."""
    owner = a_domain(domain)
    state = values.get("state", "queued")
    RecipientDomain.objects.filter(pk=owner.pk).update(**{f"n_{state}": getattr(owner, f"n_{state}") + 1})
    defaults: dict[str, Any] = {
        "message": message or a_message(), "recipient": f"b@{domain}", "domain": owner, "accepted_at": now(),
        "expires_at": now() + timedelta(days=5), "next_attempt_at": now() + timedelta(minutes=5),
    }  # fmt: skip
    return Delivery.objects.create(**{**defaults, **values})


def an_attempt(delivery: Delivery, **values: Any) -> Attempt:
    defaults: dict[str, Any] = {
        "at": now(), "result": "deferred", "reply_class": "greylisted", "code": 450, "enhanced": "4.7.1",
        "text": "Greylisted", "host": "mx1.example.com", "address": "198.51.100.7", "source": "192.0.2.25",
        "tls": "TLSv1.3",
    }  # fmt: skip
    return Attempt.objects.create(delivery=delivery, **{**defaults, **values})


def a_runner(**values: Any) -> Runner:
    defaults: dict[str, Any] = {
        "job": "runner-1", "machine": "mail1:/srv/mailweir", "pid": 4711, "started_at": now(),
        "lease_until": now() + timedelta(minutes=5),
    }  # fmt: skip
    return Runner.objects.create(**{**defaults, **values})
