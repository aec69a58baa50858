"""The one gate for mail that comes in: check, parse, suppress, commit.

SMTP, HTTP, the Django backend and `sendmail` all build a `Submission` and come here.

Promises: when `accept` or `accept_async` returns, the message is committed (promise 1); what
is refused is refused whole, with the SMTP code, the HTTP status and the field that is wrong.
Concurrent asynchronous accepts share a commit. A synchronous one runs in the caller's own
transaction, so mail that a Django view sends is rolled back with the view's work.
Failure: `Refused` for what will never be taken as it is, `TryLater` where trying again helps.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from queueapp import conf
from queueapp.engine import domains
from queueapp.engine.enqueue import NewDelivery, NewMessage, enqueue, number
from queueapp.engine.writer import GroupCommit
from queueapp.ingest import holding, idempotency
from queueapp.ingest.arrivals import Rows, arrivals, write
from queueapp.ingest.submission import MAX_LINE, Accepted, Refused, Submission, TryLater
from queueapp.mail.address import Address, AddressError, parse_address
from queueapp.mail.outgoing import new_message_id
from queueapp.mail.summary import Summary, summarise, to_crlf
from queueapp.models import Message, TlsDemand
from queueapp.models.ids import are_ours

MAX_HOPS = 50
_SMALL = 256 * 1024
_LINGER = 0.004
log = logging.getLogger(__name__)


def accept(submission: Submission) -> Accepted:
    """For synchronous callers; in their transaction where they have one. Raises Refused."""
    new = _prepare(submission)
    try:
        return _settle([new])[0]
    except IntegrityError:
        # Another process took the same idempotency key first: now its answer is found.
        return _again(new)
    except DatabaseError as error:
        raise _later(error) from error


def _again(new: _Prepared) -> Accepted:
    try:
        return _settle([new])[0]
    except DatabaseError as error:
        raise _later(error) from error


async def accept_async(submission: Submission) -> Accepted:
    """For servers: shares a commit with whoever submits at the same time. Raises Refused."""
    if len(submission.content) < _SMALL:
        new = _prepare(submission)
    else:
        new = await asyncio.to_thread(_prepare, submission)
    try:
        try:
            return await _writer().submit(new)
        except IntegrityError:
            # Another process took the same idempotency key first: now its answer is found.
            return await _writer().submit(new)
    except DatabaseError as error:
        raise _later(error) from error


@dataclass(slots=True)
class _Prepared:
    submission: Submission
    new: NewMessage
    addresses: list[Address]


_writers: dict[int, GroupCommit[_Prepared, Accepted]] = {}


def _writer() -> GroupCommit[_Prepared, Accepted]:
    """One a process: threads don't outlive a fork."""
    pid = os.getpid()
    if pid not in _writers:
        _writers.clear()
        _writers[pid] = GroupCommit("accept", _settle, linger=_LINGER, crowd=2)
    return _writers[pid]


# Checks


def _prepare(submission: Submission) -> _Prepared:
    sender = _sender(submission.sender)
    addresses = _recipients(submission.recipients)
    content = _content(submission)
    summary = summarise(content)
    if summary.n_received > MAX_HOPS:
        raise Refused(554, "5.4.6", f"the mail loops: it has {summary.n_received} Received fields", "content")
    _options(submission)
    now = timezone.now()
    message = Message(
        accepted_at=now,
        sender=str(sender) if sender else "",
        sender_domain=sender.domain if sender else "",
        from_header=summary.from_header,
        subject=summary.subject,
        message_id=summary.message_id or new_message_id(content, conf.current().host),
        size=len(content),
        n_recipients=len(addresses),
        source=submission.source,
        client=_plain(submission.client, 64),
        helo=_plain(submission.helo, 255),
        protocol=_plain(submission.protocol, 16),
        login=_plain(submission.login, 150),
        priority=submission.priority,
        send_at=submission.send_at,
        expires_at=submission.expires_at,
        tags=list(submission.tags),
        has_attachment=summary.has_attachment,
        is_bulk=summary.is_bulk or summary.is_auto,
        is_8bit=summary.has_8bit,
        tls_demand=_tls_demand(submission, summary),
        needs_utf8=any(each.needs_smtputf8 for each in [*addresses, *([sender] if sender else [])]),
    )
    deliveries = [NewDelivery(str(each), each.domain) for each in addresses]
    return _Prepared(submission, NewMessage(message, content, deliveries), addresses)


def _tls_demand(submission: Submission, summary: Summary) -> TlsDemand:
    """REQUIRETLS goes before TLS-Required (RFC 8689 section 4.1)."""
    if submission.requires_tls:
        return TlsDemand.REQUIRED
    return TlsDemand.WAIVED if summary.waives_tls else TlsDemand.NONE


def _sender(text: str) -> Address | None:
    if not text:
        return None
    try:
        return parse_address(text)
    except AddressError as error:
        raise Refused(553, "5.1.7", str(error), "from") from None


def _recipients(texts: tuple[str, ...]) -> list[Address]:
    """Parsed, each once, in the order given."""
    if not texts:
        raise Refused(554, "5.5.1", "there is no recipient", "to")
    most = conf.current().max_recipients
    if len(texts) > most:
        raise Refused(452, "4.5.3", f"{len(texts)} recipients are more than the {most} allowed", "to")
    found: dict[str, Address] = {}
    for text in texts:
        try:
            address = parse_address(text)
        except AddressError as error:
            raise Refused(553, error.enhanced, str(error), "to") from None
        found.setdefault(str(address), address)
    return list(found.values())


def _content(submission: Submission) -> bytes:
    content, most = submission.content, conf.current().max_size
    if len(content) > most:
        raise Refused(552, "5.3.4", f"{len(content)} bytes are more than the {most} allowed", "content", 413)
    if not content or content.isspace():
        raise Refused(554, "5.6.0", "the message is empty", "content")
    if submission.has_clean_lines:
        return content
    if (place := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, place) + 1
        raise Refused(554, "5.6.0", f"line {line} of the message holds a NUL byte", "content")
    if (start := _long_line(content)) is not None:
        line = content.count(b"\n", 0, start) + 1
        raise Refused(554, "5.6.0", f"line {line} of the message is longer than {MAX_LINE} octets", "content")
    return to_crlf(content)


def _long_line(content: bytes) -> int | None:
    """Where a line begins that is too long. In strides from line end to line end: a pattern would need
    minutes for 50 MB of lines that are almost too long, with every other connection waiting."""
    start, size = 0, len(content)
    while size - start > MAX_LINE:
        stop = start + MAX_LINE + 1
        end = max(content.rfind(b"\n", start, stop), content.rfind(b"\r", start, stop))
        if end < 0:
            return start
        start = end + 1
    return None


def _options(submission: Submission) -> None:
    if not 0 <= submission.priority <= 9:
        raise Refused(501, "5.5.4", f"priority {submission.priority} is not from 0 to 9", "priority")
    start, end, now = submission.send_at, submission.expires_at, timezone.now()
    for name, at in (("send_at", start), ("expires_at", end)):
        if at and timezone.is_naive(at):
            raise Refused(501, "5.5.4", f"{name} {at.isoformat()} has no time zone", name)
    if start and start > now + timedelta(days=366):
        raise Refused(501, "5.5.4", f"send_at {start.isoformat()} is more than a year ahead", "send_at")
    if end and end <= max(start or now, now):
        raise Refused(501, "5.5.4", f"expires_at {end.isoformat()} is before the mail could go", "expires_at")
    for tag in submission.tags:
        if not tag or len(tag) > 64 or not tag.isprintable():
            raise Refused(501, "5.5.4", f"tag {tag[:70]!r} is not 1 to 64 printable characters", "tags")
    if len(submission.tags) > 20:
        raise Refused(501, "5.5.4", f"{len(submission.tags)} tags are more than 20", "tags")
    if len(submission.idempotency_key) > 255 or not (submission.idempotency_key or "x").isprintable():
        raise Refused(501, "5.5.4", "the key is not 1 to 255 printable characters", "idempotency_key")


def _plain(text: str, size: int) -> str:
    """What the client says of itself, fit for a column and a page."""
    return "".join(each if each.isprintable() else "?" for each in text[:size])


# The commit


def _settle(batch: list[_Prepared]) -> list[Accepted]:
    """Store a batch in one transaction. Raises DatabaseError; then nothing of it is stored."""
    # Before the transaction, where ids of domains may be remembered. What is asked here is not asked in
    # it: without a key its statements go in one round trip (models/trips.py).
    domains.ids_of(new.domain for each in batch for new in each.new.deliveries)
    _look_up([each.new for each in batch])
    arrivals.look()
    counted: Rows = []
    fresh: list[_Prepared] = []
    # Without a key there is nothing but what `enqueue` stores: its statements are the whole transaction then.
    has_keys = any(each.submission.idempotency_key for each in batch)
    try:
        with transaction.atomic() if has_keys else nullcontext():
            repeats = idempotency.known([_key(each) for each in batch]) if has_keys else {}
            fresh = [each for each in _first_of_each_key(batch) if _key(each) not in repeats]
            counted = arrivals.count(each.new for each in fresh)
            enqueue([each.new for each in fresh], partial(write, counted) if counted else None)
            if has_keys:
                idempotency.remember([(*_key(each), each.new.message) for each in fresh])
    except Exception:
        arrivals.undo((each.new for each in fresh), counted)
        raise
    answers = {id(each): _answer(each) for each in fresh}
    by_key = {_key(each): answers[id(each)] for each in fresh} | repeats
    return [answers.get(id(each)) or replace(by_key[_key(each)], is_repeat=True) for each in batch]


def _look_up(batch: list[NewMessage]) -> None:
    """Their ids, where they can be known now, and which of them are refused or held."""
    if are_ours():
        [rows] = number(batch, [holding.question(batch)])
        holding.apply(batch, rows)
    else:
        holding.apply(batch)


def _key(each: _Prepared) -> tuple[str, str]:
    return each.new.message.login, each.submission.idempotency_key


def _first_of_each_key(batch: list[_Prepared]) -> list[_Prepared]:
    seen: set[tuple[str, str]] = set()
    chosen = []
    for each in batch:
        if not each.submission.idempotency_key or _key(each) not in seen:
            chosen.append(each)
        seen.add(_key(each))
    return chosen


def _answer(each: _Prepared) -> Accepted:
    return Accepted(each.new.message.pk, each.new.made)


def _later(error: DatabaseError) -> TryLater:
    text = str(error).lower()
    if "full" in text or "no space" in text:
        log.error("mail is refused, the disk is full: %s", error)
        return TryLater("the disk of the queue is full, try again later", 452, "4.3.1", 507)
    log.error("mail is refused, the database does not take it: %s", error)
    return TryLater("the queue's database can't be reached, try again later")
