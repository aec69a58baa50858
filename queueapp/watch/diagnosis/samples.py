"""Deliveries that stand for all: a bounded number of each state, with their replies and who sent them.

Each query is a walk along an index that ends after its limit. What a sample of all that waits does not
hold of a deep domain is looked up for that domain, within a limit of time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from django.db.models import Q, QuerySet

from queueapp.models import OPEN, Attempt, Delivery, Message
from queueapp.models.budget import OutOfTime, at_most
from queueapp.models.delivery import UNSENT
from queueapp.models.matching import CAMPAIGN_TAG
from queueapp.watch.diagnosis.facts import Arrival, Part, Sample, Seen

MOST = 800
MOST_HELD, MOST_SENDING = 300, 400
MOST_ARRIVALS, MOST_ATTEMPTS = 1000, 300
ARRIVED_WITHIN = timedelta(minutes=10)
FAILED_WITHIN = timedelta(hours=1)
OF_DOMAIN, DEEP_DOMAINS, PER_DOMAIN_S = 40, 15, 0.03
_FIELDS = (
    "pk", "message_id", "domain_id", "state", "recipient", "last_class", "last_code", "last_enhanced",
    "last_text", "last_host", "last_attempt_at", "message__sender", "message__from_header", "message__login",
    "message__tags", "next_attempt_at", "hold_reason", "finished_at",
    "accepted_at",
)  # fmt: skip
_OF_SENDER = 300
Rows = QuerySet[Any]


def deferred(n: int, rows: Rows | None = None) -> Sample:
    return _sample(_unsent("deferred", rows).order_by("-id")[:MOST], n)


def held(n: int, rows: Rows | None = None) -> Sample:
    return _sample(_unsent("held", rows).order_by("-id")[:MOST_HELD], n)


def sending(n: int) -> Sample:
    if not n:
        return Sample()
    rows = Delivery.objects.filter(Q(state__among=("sending",)), runner_id__isnull=False)
    return _sample(rows[:MOST_SENDING], n)


def due(n_queued: int, now: datetime, rows: Rows | None = None) -> Sample:
    """Never tried and due: those that wait longest and those that came last, so that both are heard."""
    base: Any = rows if rows is not None else Delivery.objects.all()
    base = base.waiting().filter(state="queued", next_attempt_at__lte=now)
    half = MOST // 2
    oldest = _read(base.order_by("next_attempt_at")[:half])
    if len(oldest) < half:
        return Sample(tuple(oldest), len(oldest))
    known = {row.pk for row in oldest}
    both = oldest + [row for row in _read(base.order_by("-next_attempt_at")[:half]) if row.pk not in known]
    return Sample(tuple(both), max(n_queued, len(both)) if len(both) >= MOST else len(both))


def failed(n: int, now: datetime, rows: Rows | None = None) -> Sample:
    """`n`: bounced in the last hour, all told."""
    if rows is None and not n:
        return Sample()
    newest = _unsent("bounced", rows).order_by("-id")[:MOST]
    recent = [row for row in _read(newest) if row.at and row.at > now - FAILED_WITHIN]
    return Sample(tuple(recent), n if len(recent) >= MOST // 2 else len(recent))


def of_deep_domains(parts: Iterable[Part], sample: Sample) -> list[Seen]:
    """Deferred mail of the deepest domains that the sample says too little of."""
    if sample.is_whole:
        return []
    known = {row.domain_id for row in sample.rows}
    deep = sorted((each for each in parts if each.pk and each.n_deferred), key=lambda each: -each.n_deferred)
    found: list[Seen] = []
    for part in [each for each in deep if each.pk not in known][:DEEP_DOMAINS]:
        found += of_domain(part.pk)
    return found


def of_domain(pk: int) -> list[Seen]:
    waiting = Delivery.objects.waiting().filter(domain_id=pk, state="deferred")
    return in_time(waiting.order_by("-priority", "next_attempt_at")[:OF_DOMAIN], PER_DOMAIN_S)


def in_time(rows: Rows, seconds: float) -> list[Seen]:
    """None of them where that would take longer."""
    try:
        with at_most(seconds):
            return _read(rows)
    except OutOfTime:
        return []


def of_sender(sender: str) -> Rows:
    """Open and failed deliveries of the last messages of an address."""
    found = Message.objects.filter(sender=sender).order_by("-id").values_list("pk", flat=True)[:_OF_SENDER]
    return Delivery.objects.filter(message__in=list(found))


def arrivals(now: datetime) -> tuple[Arrival, ...]:
    fields = ("pk", "accepted_at", "sender", "login", "tags", "is_bulk", "n_recipients")
    rows = Message.objects.exclude(source="report").order_by("-id").values_list(*fields)[:MOST_ARRIVALS]
    return tuple(
        Arrival(pk, at, sender, login, _campaign(tags), is_bulk, n)
        for pk, at, sender, login, tags, is_bulk, n in rows
        if at > now - ARRIVED_WITHIN
    )


def usual(found: tuple[Arrival, ...], now: datetime) -> dict[str, float]:
    """Messages a minute that the sender of most of these sent before them within a day, while it sent."""
    if not found:
        return {}
    senders = [each.sender for each in found]
    sender = max(set(senders), key=senders.count)
    first = min(each.pk for each in found)
    older = Message.objects.filter(sender=sender, pk__lt=first, accepted_at__lt=now - ARRIVED_WITHIN)
    ats = list(older.order_by("-id").values_list("accepted_at", flat=True)[:_OF_SENDER])
    within = [at for at in ats if at > now - timedelta(days=1)]
    if not within:
        return {}
    minutes = max((max(within) - min(within)).total_seconds() / 60, 1.0)
    return {sender.lower(): len(within) / minutes}


def attempts() -> tuple[datetime | None, dict[int, float]]:
    """When the last attempt ended, and how many seconds the last ones took by domain."""
    latest = Attempt.objects.order_by("-pk").values_list("at", "delivery__domain_id", "took_ms")
    rows = list(latest[:MOST_ATTEMPTS])
    times: dict[int, list[int]] = {}
    for _, domain_id, took_ms in rows:
        if took_ms is not None:
            times.setdefault(domain_id, []).append(took_ms)
    return rows[0][0] if rows else None, {pk: median(some) / 1000 for pk, some in times.items()}


def _unsent(state: str, rows: Rows | None) -> Rows:
    base = rows if rows is not None else Delivery.objects.all()
    return base.filter(Q(state__among=UNSENT), state=state)  # in the words of the index


def _sample(rows: Any, n: int) -> Sample:
    found = _read(rows)
    return Sample(tuple(found), max(n, len(found)))


def _read(rows: Any) -> list[Seen]:
    return [_seen(row) for row in rows.values_list(*_FIELDS)]


def _seen(row: Any) -> Seen:
    (pk, message_id, domain_id, state, recipient, last_class, code, enhanced, text, host, tried_at, sender,
     from_header, login, tags, next_at, hold_reason, finished_at, accepted_at) = row  # fmt: skip
    is_held = state == "held"
    at = next_at if state == "queued" else finished_at if state not in OPEN else tried_at
    if state == "sending":
        at = None if tried_at else accepted_at
    return Seen(
        pk, message_id, domain_id, state, recipient,
        "" if is_held else last_class, None if is_held else code, "" if is_held else enhanced,
        hold_reason if is_held else text, "" if is_held else host, at,
        sender, from_header, login, _campaign(tags),
    )  # fmt: skip


def _campaign(tags: Any) -> str:
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag.lower().startswith(CAMPAIGN_TAG):
            return tag[len(CAMPAIGN_TAG) :]
    return ""
