"""Tell senders what became of their mail: RFC 3464 reports, put into the queue like any mail.

Promises: one report a message and batch, however many of its recipients failed; never one for a
null sender, so reports can't answer reports. They are stored in the transaction that makes the
delivery final: no bounce without its report, no report without its bounce.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from django.db.models import BinaryField
from django.db.models.functions import Substr
from django.utils import timezone

from queueapp import conf
from queueapp.engine.claim import Claimed
from queueapp.engine.enqueue import NewDelivery, NewMessage
from queueapp.mail.address import AddressError, parse_address
from queueapp.mail.dsn import MAX_SHOWN, Recipient, bounce_report, delay_warning
from queueapp.mail.summary import summarise
from queueapp.models import Body, Message, TlsDemand
from queueapp.transports.base import Outcome

# Enough for any sane header, and nothing of a 50 MB attachment.
_HEAD = 64 * 1024


def reports(failed: list[tuple[Claimed, Outcome]], *, is_final: bool) -> list[NewMessage]:
    """Bounce reports (`is_final`) or delay warnings to the senders of these deliveries."""
    by_message: dict[int, list[tuple[Claimed, Outcome]]] = {}
    for row, outcome in failed:
        if row.sender:
            by_message.setdefault(row.message_id, []).append((row, outcome))
    if not by_message:
        return []
    heads = _heads(list(by_message))
    made = [_report(rows, heads.get(pk, b""), is_final=is_final) for pk, rows in by_message.items()]
    return [each for each in made if each]


def _heads(message_ids: list[int]) -> dict[int, bytes]:
    """The beginnings of the originals; whole bodies are never read for this."""
    head = Substr("content", 1, _HEAD, output_field=BinaryField())
    return {
        pk: bytes(content) for pk, content in Body.objects.filter(pk__in=message_ids).values_list("pk", head)
    }


def _report(rows: list[tuple[Claimed, Outcome]], head: bytes, *, is_final: bool) -> NewMessage | None:
    first = rows[0][0]
    try:
        sender = parse_address(first.sender)
    except AddressError:
        return None
    now, current = timezone.now(), conf.current()
    write = bounce_report if is_final else delay_warning
    content = write(
        original_sender=str(sender),
        recipients=[_recipient(row, outcome, now, is_final=is_final) for row, outcome in rows[:MAX_SHOWN]],
        original=head,
        hostname=current.host,
        arrived_at=first.accepted_at,
        now=now,
        envelope_id=str(first.message_id),
    )
    summary = summarise(content)
    message = Message(
        accepted_at=now,
        sender="",
        from_header=summary.from_header,
        subject=summary.subject,
        message_id=summary.message_id,
        size=len(content),
        n_recipients=1,
        source="report",
        protocol="LOCAL",
        priority=first.priority,
        is_bulk=True,
        needs_utf8=sender.needs_smtputf8,
        # A report tells of the mail: it is protected alike (RFC 8689 section 5).
        tls_demand=first.tls_demand if first.tls_demand == TlsDemand.REQUIRED else TlsDemand.NONE,
    )
    return NewMessage(message, content, [NewDelivery(str(sender), sender.domain)])


def _recipient(row: Claimed, outcome: Outcome, now: datetime, *, is_final: bool) -> Recipient:
    action: Literal["failed", "delayed"] = "failed" if is_final else "delayed"
    return Recipient(
        address=row.recipient,
        action=action,
        reply_class=outcome.reply_class,
        status=outcome.enhanced,
        diagnostic=outcome.reply,
        remote_mta=outcome.host,
        last_attempt_at=now,
        will_retry_until=None if is_final else row.expires_at,
    )
