"""A queue in trouble, as rows of the database: what the diagnosis reads, with as little said as the test
needs.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from queueapp.engine.counters import recount
from queueapp.models import (
    Attempt,
    Body,
    Bookmark,
    Delivery,
    Diagnosis,
    DomainFigures,
    Message,
    Minute,
    RecipientDomain,
    Runner,
    Site,
    SiteFigures,
)
from queueapp.watch.diagnosis import look, store

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def a_domain(name: str, **values: Any) -> RecipientDomain:
    """With a site of its own; what begins with `site_` is of that."""
    of_site = {key.removeprefix("site_"): values.pop(key) for key in list(values) if key.startswith("site_")}
    site, _ = Site.objects.get_or_create(
        key=f"mx:{name}", defaults={"name": f"mx.{name}", "route": "mx", **of_site}
    )
    return RecipientDomain.objects.get_or_create(name=name, defaults={"site": site, **values})[0]


def some(n: int, domain: str = "example.net", state: str = "queued", **values: Any) -> list[Delivery]:
    """`n` deliveries of as many messages to a domain, with their counters; `of_domain` is for a_domain."""
    now = timezone.now()
    owner = a_domain(domain, **values.pop("of_domain", {}))
    sender = values.pop("sender", "ann@example.com")
    at = values.pop("accepted_at", now - MINUTE)
    of_message = {
        key: values.pop(key) for key in ("login", "tags", "from_header", "is_bulk") if key in values
    }
    message = {
        "accepted_at": at, "sender": sender, "sender_domain": sender.rpartition("@")[2], "n_recipients": 1,
        "size": 3, "source": "smtp", **of_message,
    }  # fmt: skip
    messages = Message.objects.bulk_create([Message(**message) for _ in range(n)])
    Body.objects.bulk_create([Body(message=each, content=b"x\r\n") for each in messages])
    next_at = {"queued": at, "deferred": now + 5 * MINUTE}.get(state)
    row = {
        "domain": owner, "state": state, "accepted_at": at, "expires_at": now + timedelta(days=5),
        "next_attempt_at": next_at,
        "last_attempt_at": None if state in ("queued", "held", "sending") else now,
        "finished_at": now if state in ("bounced", "delivered") else None, **values,
    }  # fmt: skip
    made = Delivery.objects.bulk_create(
        [Delivery(message=each, recipient=f"b{each.pk}@{domain}", **row) for each in messages]
    )
    recount([owner.pk])
    RecipientDomain.objects.filter(pk=owner.pk).update(due_at=next_at)
    if state in ("bounced", "delivered"):
        minute = now.replace(second=0, microsecond=0)
        known, _ = Minute.objects.get_or_create(at=minute, domain_id=0)
        setattr(known, f"n_{state}", getattr(known, f"n_{state}") + n)
        known.save()
    return made


def said(reply: str, reply_class: str) -> dict[str, Any]:
    """`451 4.3.0 text` as fields of a delivery."""
    code, _, rest = reply.partition(" ")
    if not code.isdigit():
        return {"last_class": reply_class, "last_text": reply}
    enhanced, _, text = rest.partition(" ")
    return {
        "last_class": reply_class, "last_code": int(code), "last_enhanced": enhanced, "last_text": text,
        "last_host": "mx1.example.net",
    }  # fmt: skip


def deferred(
    n: int, reply: str, reply_class: str, domain: str = "example.net", **values: Any
) -> list[Delivery]:
    return some(n, domain, "deferred", **{"n_attempts": 1, **said(reply, reply_class), **values})


def bounced(
    n: int, reply: str, reply_class: str, domain: str = "example.net", **values: Any
) -> list[Delivery]:
    return some(n, domain, "bounced", **{"n_attempts": 1, **said(reply, reply_class), **values})


def figures(domain: str, **values: Any) -> None:
    owner = RecipientDomain.objects.get(name=domain)
    DomainFigures.objects.update_or_create(domain=owner, defaults=values)
    if "delivered_at" in values:
        found = {"delivered_at": values["delivered_at"]}
        SiteFigures.objects.update_or_create(site_id=owner.site_id, defaults=found)


def a_runner() -> Runner:
    now = timezone.now()
    return Runner.objects.create(
        job="runner-0", machine="m:/h", pid=1, started_at=now, lease_until=now + 5 * MINUTE
    )


def tried(row: Delivery, ago: timedelta) -> None:
    Attempt.objects.create(delivery=row, at=timezone.now() - ago, result="deferred", reply_class="busy")


def looked(kind: str = "all", key: str = "") -> list[Diagnosis]:
    """A look, however short ago the last one was, and what it found in a scope, in order."""
    Bookmark.objects.filter(pk=store.NAME).delete()
    look.look()
    return list(Diagnosis.objects.filter(kind=kind, key=key).order_by("place"))


def named(kind: str = "all", key: str = "") -> list[str]:
    return [row.cause for row in looked(kind, key)]
