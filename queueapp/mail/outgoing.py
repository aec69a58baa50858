"""What a mail lacks, or must not carry, when it leaves: Message-ID, Date, Bcc.

Works on the octets of the header block alone: no tree is built, a body is never read. The mail has
CRLF line ends (summary.to_crlf has mended them when it was accepted).

Promises: what is added stands on top, beside our Received line; what is taken out is the Bcc fields;
every other octet stays as it is and where it is. The same row gives the same octets at each try.
RFC 5322 3.6, RFC 6409 8.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from email.utils import format_datetime

_BLIND = re.compile(rb"^(?:resent-)?bcc[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)
_SPACED = re.compile(rb"^(?:message-id|date)[ \t]+:", re.MULTILINE)
_MESSAGE_ID = re.compile(r"[!-;=?A-~]{1,400}@[!-;=?A-~]{1,400}")


def new_message_id(content: bytes, hostname: str) -> str:
    """A Message-ID without brackets for a mail that has no such field; "" for one that has it."""
    head, _ = parted(content)
    return "" if _has(head.lower(), b"message-id") else f"{secrets.token_hex(16)}@{hostname}"


def parted(content: bytes) -> tuple[bytes, bytes]:
    """(header block, the rest from its empty line on). A mail that begins with a folded line has no header.

    Such a line would become a part of the field that we put on top of it, so it gets its empty line.
    """
    if content.startswith(b"\r\n"):
        return b"", content
    if content[:1] in (b" ", b"\t"):
        return b"", b"\r\n" + content
    end = content.find(b"\r\n\r\n")
    return (content, b"") if end < 0 else (content[: end + 2], content[end + 2 :])


def finished(
    content: bytes, *, trace: bytes, message_id: str, spare_id: str, date: datetime
) -> tuple[bytes, bytes]:
    """(header block, the rest) as they leave. `trace` is our Received field.

    `message_id` is the row's, without brackets; where it can't be one, `spare_id` is taken.
    """
    head, rest = parted(content)
    low = head.lower()
    if b"bcc" in low:
        head = without_blind(head)
    top = trace
    if not _has(low, b"message-id"):
        known = message_id if _MESSAGE_ID.fullmatch(message_id) else spare_id
        top += b"Message-ID: <%s>\r\n" % known.encode("ascii")
    if not _has(low, b"date"):
        top += b"Date: %s\r\n" % format_datetime(date.astimezone(UTC)).encode("ascii")
    return top + head, rest


def without_blind(head: bytes) -> bytes:
    """A header block without Bcc and Resent-Bcc, folded lines and all (RFC 5322 3.6.3)."""
    return _BLIND.sub(b"", head)


def _has(low: bytes, name: bytes) -> bool:
    """Whether a header block in lower case has the field. By plain search: this is done for every mail."""
    if low.startswith(name + b":") or b"\n" + name + b":" in low:
        return True
    return name in low and any(found[0].rstrip(b" \t:") == name for found in _SPACED.finditer(low))
