"""Reports to a sender: a mail was not delivered, or is late (RFC 3464, RFC 6522, RFC 3461, RFC 6533).

Three parts: a text for people, the same for programs, and the headers of the original. The caller
gives all facts, times included. Promises: ASCII octets with CRLF whatever the original held; its
subject and ids can't break out of their lines; the size is bounded. The report itself goes out with
the null sender ("" as the envelope's sender), and there is never one for a message that had a null
sender: `original_sender` "" is refused with ValueError.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal

from .classes import CLASSES
from .entity import header, multipart, text_part
from .headers import header_block, tame, to_text
from .outgoing import without_blind
from .summary import summarise, to_crlf

MAX_ORIGINAL = 20_000
MAX_SHOWN = 100

_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_MESSAGE_ID = re.compile(r"[!-;=?A-~]{1,200}@[!-;=?A-~]{1,200}")
_HOST = re.compile(r"[^A-Za-z0-9.:_\[\]-]")


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient's fate. `diagnostic` is the reply as the server gave it, "" where there was none."""

    address: str
    action: Literal["failed", "delayed"]
    reply_class: str
    status: str = ""
    diagnostic: str = ""
    remote_mta: str = ""
    last_attempt_at: datetime | None = None
    will_retry_until: datetime | None = None
    original_recipient: str = ""


def bounce_report(
    *,
    original_sender: str,
    recipients: Sequence[Recipient],
    original: bytes,
    hostname: str,
    arrived_at: datetime,
    now: datetime,
    envelope_id: str = "",
    message_id: str = "",
) -> bytes:
    """Tells the sender that the mail was not delivered to these recipients, for good."""
    intro = "Your mail could not be delivered to the following. It is not tried again."
    facts = _facts(hostname, arrived_at, envelope_id)
    title = "Mail not delivered"
    return _report(title, intro, original_sender, recipients, original, hostname, facts, now, message_id)


def delay_warning(
    *,
    original_sender: str,
    recipients: Sequence[Recipient],
    original: bytes,
    hostname: str,
    arrived_at: datetime,
    now: datetime,
    envelope_id: str = "",
    message_id: str = "",
) -> bytes:
    """Tells the sender that the mail still waits, and until when it is tried."""
    intro = (
        "Your mail could not be delivered yet to the following. It is tried again by itself: there is\n"
        "no need to send it once more."
    )
    facts = _facts(hostname, arrived_at, envelope_id)
    title = "Mail delayed"
    return _report(title, intro, original_sender, recipients, original, hostname, facts, now, message_id)


def _report(
    title: str,
    intro: str,
    sender: str,
    recipients: Sequence[Recipient],
    original: bytes,
    hostname: str,
    facts: list[bytes],
    now: datetime,
    message_id: str,
) -> bytes:
    if not sender:
        raise ValueError("a report to the null sender would start a loop of reports: RFC 5321 4.5.5")
    if not recipients:
        raise ValueError("a report needs at least one recipient")
    summary = summarise(original)
    host = _HOST.sub("", hostname)[:255] or "localhost"
    subject = tame(summary.subject)[:MAX_SHOWN]
    head = [
        header("Date", format_datetime(now.astimezone(UTC))),
        header("From", f"Mail Delivery System <MAILER-DAEMON@{host}>"),
        header("To", f"<{sender}>", is_utf8=True),
        header("Subject", f"{title}: {subject}" if subject else title),
        header("Message-ID", message_id or f"<{uuid.uuid4().hex}@{host}>"),
    ]
    if _MESSAGE_ID.fullmatch(summary.message_id):
        head += [header(name, f"<{summary.message_id}>") for name in ("In-Reply-To", "References")]
    head += [b"Auto-Submitted: auto-replied\r\n", b"MIME-Version: 1.0\r\n"]
    parts = [
        text_part(_for_people(intro, subject, recipients, host), "plain"),
        _for_programs(facts, recipients),
        _headers_of(original),
    ]
    return b"".join([*head, multipart("report; report-type=delivery-status", parts)])


def _for_people(intro: str, subject: str, recipients: Sequence[Recipient], host: str) -> str:
    lines = [f"This is the mail system at {host}.", "", intro, ""]
    if subject:
        lines += [f"Subject of your mail: {subject}", ""]
    for recipient in recipients:
        info = CLASSES.get(recipient.reply_class, CLASSES["other"])
        lines += [f"{tame(recipient.address)}", f"    {info.sentence}"]
        if recipient.diagnostic:
            by = f" from {_HOST.sub('', recipient.remote_mta)}" if recipient.remote_mta else ""
            lines.append(f"    Reply{by}: {tame(recipient.diagnostic)[:1_000]}")
        if recipient.action == "delayed" and recipient.will_retry_until:
            lines.append(f"    Tried until: {format_datetime(recipient.will_retry_until.astimezone(UTC))}")
        lines += [f"    What you can do: {_ADVICE[info.fault]}", ""]
    return "\n".join(lines)


# For senders, not for administrators: CLASSES[…].advice is theirs.
_ADVICE = {
    "recipient": "check the address, or reach the recipient another way.",
    "us": "forward this report to your mail administrator; the address itself may be fine.",
    "network": "send again later, or tell your mail administrator if it lasts.",
    "receiver": "send again later, or reach the recipient another way.",
    "mail": "change or shorten the mail (its links, attachments, size), then send it anew.",
}


def _facts(hostname: str, arrived_at: datetime, envelope_id: str) -> list[bytes]:
    facts = [header("Reporting-MTA", f"dns; {_HOST.sub('', hostname)[:255] or 'localhost'}")]
    if envelope_id:
        facts.append(header("Original-Envelope-Id", _ascii(envelope_id, MAX_SHOWN)))
    return [*facts, header("Arrival-Date", format_datetime(arrived_at.astimezone(UTC)))]


def _for_programs(facts: list[bytes], recipients: Sequence[Recipient]) -> bytes:
    groups = [b"".join(facts), *map(_fields_of, recipients)]
    return b"Content-Type: message/delivery-status\r\n\r\n" + b"\r\n".join(groups)


def _fields_of(recipient: Recipient) -> bytes:
    fields = []
    if recipient.original_recipient:
        fields.append(header("Original-Recipient", _ascii(recipient.original_recipient, 600)))
    fields.append(header("Final-Recipient", _typed(recipient.address)))
    fields.append(header("Action", recipient.action))
    general = "4.0.0" if recipient.action == "delayed" else "5.0.0"
    fields.append(header("Status", recipient.status if _STATUS.fullmatch(recipient.status) else general))
    if recipient.remote_mta:
        fields.append(header("Remote-MTA", f"dns; {_HOST.sub('', recipient.remote_mta)[:255]}"))
    if recipient.diagnostic:
        fields.append(header("Diagnostic-Code", f"smtp; {_ascii(recipient.diagnostic, 900)}"))
    for name, at in (
        ("Last-Attempt-Date", recipient.last_attempt_at),
        ("Will-Retry-Until", recipient.will_retry_until if recipient.action == "delayed" else None),
    ):
        if at:
            fields.append(header(name, format_datetime(at.astimezone(UTC))))
    return b"".join(fields)


def _typed(address: str) -> str:
    """`rfc822; ann@example.com`, or the ASCII form of RFC 6533 section 3 for one beyond ASCII."""
    address = tame(address)
    if address.isascii():
        return f"rfc822; {address}"
    return "utf-8; " + "".join(
        c if c.isascii() and c not in "\\+=" else f"\\x{{{ord(c):X}}}" for c in address
    )


def _headers_of(original: bytes) -> bytes:
    block = without_blind(to_crlf(header_block(original)))
    if len(block) > MAX_ORIGINAL:
        block = block[: block.rfind(b"\r\n", 0, MAX_ORIGINAL) + 2]
    text = re.sub("[\x00\ud800-\udfff]", "", to_text(block))
    return text_part(text, "rfc822-headers")


def _ascii(text: str, limit: int) -> str:
    """One line of ASCII; words that no line could hold are cut apart."""
    plain = tame(text)[:limit].encode("ascii", "replace").decode("ascii")
    return plain.replace("=?", "= ?")
