"""Put messages into the queue: the rows of a message and its deliveries, in one transaction.

Called by `ingest.accept` for what comes from outside and by `engine.bounce` for our own
reports. The caller has checked everything; here nothing is refused.

Promises: after the transaction, the message, its body, its deliveries, the counters of its
domains and the minute's rollup are there together, or none of them is. A runner is kicked
and the dashboards are told on commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from queueapp import conf, events, stats
from queueapp.engine import domains
from queueapp.engine.counters import Changes
from queueapp.kick import kick
from queueapp.models import Message
from queueapp.models.bulk import NewRows
from queueapp.models.ids import are_ours, new_ids_and
from queueapp.models.trips import Question, together
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
    delivery_ids: list[int] = field(default_factory=list)
    made: list[tuple[int, str, str]] = field(default_factory=list)
    """(id, recipient, state) of its deliveries, once they are stored."""


def enqueue(batch: list[NewMessage], beside: Callable[[], None] | None = None) -> None:
    """Store all, in the caller's transaction or its own; fills `message.pk` and `made`. `beside`: statements
    that go along.

    Raises django.db.DatabaseError; then nothing of the batch is stored.
    """
    ids = domains.ids_of(new.domain for each in batch for new in each.deliveries)
    changes, tally = Changes(), Tally()
    with transaction.atomic(savepoint=False), together(is_end=True):
        store(batch, ids, changes, tally)
        changes.apply()
        stats.record(tally, timezone.now())
        if beside:
            beside()


_MESSAGES = NewRows(
    "queueapp_message",
    "id:bigint accepted_at:timestamptz sender:text sender_domain:text from_header:text subject:text "
    "message_id:text size:integer n_recipients:integer source:text client:text helo:text protocol:text "
    "login:text priority:smallint send_at:timestamptz expires_at:timestamptz tags:jsonb "
    "has_attachment:boolean is_bulk:boolean is_8bit:boolean needs_utf8:boolean tls_demand:text",
)
_BODIES = NewRows("queueapp_body", "message_id:bigint content:bytea")
_DELIVERIES = NewRows(
    "queueapp_delivery",
    "id:bigint message_id:bigint recipient:text domain_id:bigint state:text priority:smallint "
    "accepted_at:timestamptz next_attempt_at:timestamptz expires_at:timestamptz n_attempts:integer "
    "n_reaped:smallint last_attempt_at:timestamptz last_class:text last_enhanced:text last_text:text "
    "last_host:text is_ambiguous:boolean is_warned:boolean hold_reason:text finished_at:timestamptz",
)
_REFUSALS = NewRows(
    "queueapp_attempt",
    "delivery_id:bigint at:timestamptz result:text reply_class:text enhanced:text text:text rule:text "
    "stage:text host:text address:text source:text tls:text is_ambiguous:boolean",
)
_STATE, _NEXT = 4, 7
"""Places in a row of _DELIVERIES."""


def store(batch: list[NewMessage], ids: dict[str, int], changes: Changes, tally: Tally) -> None:
    """The rows alone. The caller applies `changes` and records `tally`, once for all that it does
    in its transaction: two rounds of locks in one transaction could deadlock with another's."""
    if not are_ours() or not all(each.delivery_ids for each in batch):
        number(batch)
    _MESSAGES.add([_message(each.message) for each in batch])
    _BODIES.add([(each.message.pk, each.content) for each in batch])
    rows, refusals = [], []
    for each in batch:
        made = [
            _delivery(pk, each.message, new, ids[new.domain])
            for pk, new in zip(each.delivery_ids, each.deliveries, strict=True)
        ]
        each.made = [(row[0], row[2], row[_STATE]) for row in made]
        refusals += [
            _refused(row[0], each.message, new.refusal)
            for row, new in zip(made, each.deliveries, strict=True)
            if new.refusal
        ]
        rows += made
    _DELIVERIES.add(rows)
    _REFUSALS.add(refusals)
    _count(rows, changes, tally)
    events.deliveries_changed()


def number(batch: list[NewMessage], questions: Sequence[Question] = ()) -> list[list[tuple[Any, ...]]]:
    """Give them ids: right before the transaction that stores them where that can be (`are_ours`), so that it
    need not ask; then the answers to `questions` come in the same round trip.

    A batch that failed is tried again one by one, under new ids: those of the first try are gone.
    """
    n = sum(len(each.deliveries) for each in batch)
    (message_ids, delivery_ids), answers = new_ids_and(
        questions, queueapp_message=len(batch), queueapp_delivery=n
    )
    pks = iter(delivery_ids)
    for each, pk in zip(batch, message_ids, strict=True):
        each.message.pk, each.message._state.adding = pk, False
        each.delivery_ids = [next(pks) for _ in each.deliveries]
    return answers


def _count(rows: list[tuple[Any, ...]], changes: Changes, tally: Tally) -> None:
    is_due = False
    for row in rows:
        domain_id, state, at = row[3], row[_STATE], row[_NEXT]
        changes.add(domain_id, state)
        tally[domain_id, "accepted"] += 1
        if state == "bounced":
            tally[domain_id, "bounced"] += 1
        elif state == "queued":
            changes.waits_until(domain_id, at)
            is_due = True
    if is_due:
        kick()


def _message(each: Message) -> tuple[Any, ...]:
    return (
        each.pk, each.accepted_at, each.sender, each.sender_domain, each.from_header, each.subject,
        each.message_id, each.size, each.n_recipients, each.source, each.client, each.helo, each.protocol,
        each.login, each.priority, each.send_at, each.expires_at, each.tags, each.has_attachment,
        each.is_bulk, each.is_8bit, each.needs_utf8, str(each.tls_demand),
    )  # fmt: skip


def _delivery(pk: int, message: Message, new: NewDelivery, domain_id: int) -> tuple[Any, ...]:
    at = message.accepted_at
    start = max(message.send_at or at, at)
    expires_at = message.expires_at or start + conf.current().max_age
    if new.refusal:
        state, first, last, done = "bounced", None, new.refusal, at
    else:
        state, first, last, done = "held" if new.hold_reason else "queued", start, ("", ""), None
    return (
        pk, message.pk, new.recipient, domain_id, state, message.priority, at, first, expires_at, 0, 0, done,
        last[0], "", last[1], "", False, False, new.hold_reason, done,
    )  # fmt: skip


def _refused(pk: int, message: Message, refusal: tuple[str, str]) -> tuple[Any, ...]:
    reply_class, text = refusal
    return (
        pk, message.accepted_at, "bounced", reply_class, "", text, "", "", "", "", "", "", False,
    )  # fmt: skip
