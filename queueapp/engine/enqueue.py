"""Put messages into the queue: the rows of a message and its deliveries, in one transaction.

Called by `ingest.accept` for what comes from outside and by `engine.bounce` for our own
reports. The caller has checked everything; here nothing is refused.

Promises: after the transaction, the message, its body, its deliveries, the counters of its
domains and the minute's rollup are there together, or none of them is. A runner is kicked
and the dashboards are told on commit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from queueapp import conf, events, stats
from queueapp.engine import domains
from queueapp.engine.counters import Changes
from queueapp.kick import kick
from queueapp.models import Attempt, Body, Delivery, Message, State
from queueapp.stats import Tally


@dataclass(slots=True)
class NewDelivery:
    """`domain` as A-label. `refusal` (class, text) makes it final at once: it is not tried."""

    recipient: str
    domain: str
    hold_reason: str = ""
    refusal: tuple[str, str] | None = None


@dataclass(slots=True)
class NewMessage:
    """`message` is not saved yet; its `accepted_at` is set."""

    message: Message
    content: bytes
    deliveries: list[NewDelivery]
    made: list[Delivery] = field(default_factory=list)


def enqueue(batch: list[NewMessage]) -> None:
    """Store all, in the caller's transaction or its own; fills `message.pk` and `made`.

    Raises django.db.DatabaseError; then nothing of the batch is stored.
    """
    ids = domains.ids_of(new.domain for each in batch for new in each.deliveries)
    changes, tally = Changes(), Tally()
    with transaction.atomic():
        store(batch, ids, changes, tally)
        changes.apply()
        stats.record(tally, timezone.now())


def store(batch: list[NewMessage], ids: dict[str, int], changes: Changes, tally: Tally) -> None:
    """The rows alone. The caller applies `changes` and records `tally`, once for all that it does
    in its transaction: two rounds of locks in one transaction could deadlock with another's."""
    for each in batch:
        # A batch that failed is tried again one by one: ids of the first try may be others' by now.
        each.message.pk, each.message._state.adding = None, True
    Message.objects.bulk_create([each.message for each in batch])
    Body.objects.bulk_create([Body(message_id=each.message.pk, content=each.content) for each in batch])
    for each in batch:
        each.made = [_delivery(each.message, new, ids[new.domain]) for new in each.deliveries]
    rows = [delivery for each in batch for delivery in each.made]
    Delivery.objects.bulk_create(rows, batch_size=2000)
    Attempt.objects.bulk_create([_refused(row) for row in rows if row.state == State.BOUNCED])
    for row in rows:
        changes.add(row.domain_id, row.state)
        tally[row.domain_id, "accepted"] += 1
        if row.state == State.BOUNCED:
            tally[row.domain_id, "bounced"] += 1
        elif row.state == State.QUEUED and row.next_attempt_at:
            changes.waits_until(row.domain_id, row.next_attempt_at)
    if any(row.state == State.QUEUED for row in rows):
        kick()
    events.publish("deliveries", accepted=len(rows))


def _delivery(message: Message, new: NewDelivery, domain_id: int) -> Delivery:
    current = conf.current()
    start = max(message.send_at or message.accepted_at, message.accepted_at)
    delivery = Delivery(
        message_id=message.pk,
        recipient=new.recipient,
        domain_id=domain_id,
        priority=message.priority,
        accepted_at=message.accepted_at,
        next_attempt_at=start,
        expires_at=message.expires_at or start + current.max_age,
        hold_reason=new.hold_reason,
        state=State.HELD if new.hold_reason else State.QUEUED,
    )
    if new.refusal:
        delivery.state = State.BOUNCED
        delivery.last_class, delivery.last_text = new.refusal
        delivery.last_attempt_at = delivery.finished_at = message.accepted_at
        delivery.next_attempt_at = None
    return delivery


def _refused(delivery: Delivery) -> Attempt:
    return Attempt(
        delivery_id=delivery.pk,
        at=delivery.accepted_at,
        result="bounced",
        reply_class=delivery.last_class,
        text=delivery.last_text,
    )
