"""What the queue needs to know about a message, and its line ends.

`summarise` is on the path of every accept: it reads the header block and scans the rest for two
facts, without building a tree. It never fails and never changes the message; what it returns fits
into a row of any database. `to_crlf` is the only place where line ends are mended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .headers import decode, fields, header_block

MAX_TEXT = 998
MAX_SCAN = 2_000_000

_WANTED = frozenset(
    b"subject message-id from received list-unsubscribe precedence auto-submitted content-type"
    b" content-disposition tls-required".split()
)
_ATTACHMENT = re.compile(rb"\ncontent-disposition:[ \t]*(?:\r?\n[ \t]+)?attachment", re.IGNORECASE)
_BODY_TYPES = (b"text/", b"multipart/", b"message/")


@dataclass(frozen=True, slots=True)
class Summary:
    """Texts are decoded, of one line, at most 998 characters; "" where the header is missing.

    `message_id` stands without its angle brackets.
    """

    subject: str
    message_id: str
    from_header: str
    has_attachment: bool
    n_received: int
    is_bulk: bool
    is_auto: bool
    has_8bit: bool
    waives_tls: bool
    """The field TLS-Required: No (RFC 8689 section 5)."""


def summarise(raw: bytes) -> Summary:
    """The facts of one message. The first of a header that stands there twice counts."""
    first: dict[bytes, bytes] = {}
    n_received = 0
    for name, value in fields(header_block(raw)):
        key = name.lower()
        if key == b"received":
            n_received += 1
        elif key in _WANTED:
            first.setdefault(key, value)
    auto = first.get(b"auto-submitted", b"no").partition(b";")[0].strip().lower()
    precedence = first.get(b"precedence", b"").lower()
    return Summary(
        subject=decode(first.get(b"subject", b""))[:MAX_TEXT],
        message_id=_message_id(first.get(b"message-id", b"")),
        from_header=decode(first.get(b"from", b""))[:MAX_TEXT],
        has_attachment=_has_attachment(raw, first),
        n_received=n_received,
        is_bulk=b"list-unsubscribe" in first or precedence in (b"bulk", b"list", b"junk"),
        is_auto=auto != b"no",
        has_8bit=not raw.isascii(),
        waives_tls=first.get(b"tls-required", b"").strip().lower() == b"no",
    )


def _message_id(value: bytes) -> str:
    text = decode(value)
    start, end = text.find("<"), text.find(">")
    return text[start + 1 : end if end > start else None].strip()[:MAX_TEXT]


def to_crlf(raw: bytes) -> bytes:
    """The message with CRLF after every line. Right input comes back as it is, without a copy."""
    n_breaks = raw.count(b"\r\n")
    if n_breaks == raw.count(b"\n") == raw.count(b"\r") and raw.endswith(b"\r\n"):
        return raw
    raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


def _has_attachment(raw: bytes, headers: dict[bytes, bytes]) -> bool:
    if headers.get(b"content-disposition", b"")[:10].lower() == b"attachment":
        return True
    kind = headers.get(b"content-type", b"text/plain").lower()
    if kind.startswith(b"multipart/"):
        return _ATTACHMENT.search(raw, 0, MAX_SCAN) is not None
    # A type that is no type ("text", "x") is plain text to every reader: RFC 2045 5.2.
    return b"/" in kind and not kind.startswith(_BODY_TYPES)
