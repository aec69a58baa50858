"""Builds a message from the fields that an application gives: the HTTP API, the back end, campaigns.

Promises: right MIME in ASCII with CRLF, Date and Message-ID always there, and never a Bcc. Nothing
that is given can begin a header of its own: line breaks, NULs and the headers that belong to us
are refused with the field that is wrong (ComposeError), never taken out in silence.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from .address import Address, AddressError, format_mailbox, parse_mailbox_header
from .entity import HeaderError, file_part, header, multipart, text_part

MAX_HEADERS = 200
MAX_VALUE = 30_000
MAX_FILENAME = 255

_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}")
_OURS = frozenset("from sender to cc bcc subject received return-path delivered-to".split())
_OUR_PREFIXES = ("content-", "mime-", "resent-")
_MAILBOXES = frozenset({"reply-to", "disposition-notification-to", "errors-to"})
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]{1,200}@[!-;=?A-~]{1,200}>")
_UNSAFE = re.compile("[\x00\ud800-\udfff]")


class ComposeError(ValueError):
    """`field` is the name that the API uses ("to[1]", "headers.X-Y"), `reason` is for people."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}")


@dataclass(frozen=True, slots=True)
class Attachment:
    filename: str
    content_type: str
    content: bytes


def compose(
    *,
    from_: str,
    to: Sequence[str] = (),
    cc: Sequence[str] = (),
    subject: str = "",
    text: str = "",
    html: str = "",
    headers: Mapping[str, str] | None = None,
    attachments: Sequence[Attachment] = (),
    message_id: str = "",
    date: datetime | None = None,
    hostname: str = "localhost",
) -> bytes:
    """The message. Addresses are mailboxes ("Ann <ann@example.com>"); `hostname` is for the Message-ID."""
    sender = _mailboxes("from", [from_])
    if len(sender) != 1:
        raise ComposeError("from", "it must hold exactly one address")
    to_boxes, cc_boxes = _mailboxes("to", to), _mailboxes("cc", cc)
    is_utf8 = any(address.needs_smtputf8 for _, address in [*sender, *to_boxes, *cc_boxes])
    custom = _custom_headers(headers or {}, is_utf8)
    out = [custom.pop("date", b"") or header("Date", format_datetime(date or datetime.now(UTC)))]
    out.append(_address_header("From", sender, is_utf8))
    out.append(_address_header("To", to_boxes, is_utf8) or b"To: undisclosed-recipients:;\r\n")
    out.append(_address_header("Cc", cc_boxes, is_utf8))
    out.append(_header("subject", "Subject", subject, is_utf8))
    out.append(custom.pop("message-id", b"") or _message_id(message_id or f"<{uuid.uuid4().hex}@{hostname}>"))
    out += custom.values()
    out += [b"MIME-Version: 1.0\r\n", _body(text, html, attachments)]
    return b"".join(out)


def _body(text: str, html: str, attachments: Sequence[Attachment]) -> bytes:
    for field, value in (("text", text), ("html", html)):
        if _UNSAFE.search(value):
            raise ComposeError(field, "it holds a NUL or half a surrogate pair")
    body = text_part(html, "html") if html and not text else text_part(text, "plain")
    if text and html:
        body = multipart("alternative", [body, text_part(html, "html")])
    if not attachments:
        return body
    return multipart("mixed", [body, *(_attachment(i, one) for i, one in enumerate(attachments))])


def _attachment(number: int, attachment: Attachment) -> bytes:
    field = f"attachments[{number}]"
    if not _CONTENT_TYPE.fullmatch(attachment.content_type):
        raise ComposeError(f"{field}.content_type", "it must look like application/pdf")
    if attachment.content_type.lower().startswith("multipart/"):
        raise ComposeError(f"{field}.content_type", "a multipart type is no type for a file")
    if len(attachment.filename) > MAX_FILENAME:
        raise ComposeError(f"{field}.filename", f"it is longer than {MAX_FILENAME} characters")
    if not attachment.filename.isprintable():
        raise ComposeError(f"{field}.filename", "it holds a line break, a control or an invisible character")
    return file_part(attachment.content, attachment.content_type.lower(), attachment.filename)


def _mailboxes(field: str, values: Sequence[str]) -> list[tuple[str, Address]]:
    found: list[tuple[str, Address]] = []
    for number, value in enumerate(values):
        name = field if field == "from" else f"{field}[{number}]"
        _refuse_breaks(name, value)
        try:
            boxes = parse_mailbox_header(value)
        except AddressError as error:
            raise ComposeError(name, str(error)) from None
        if not boxes:
            raise ComposeError(name, "it holds no address")
        found += boxes
    return found


def _address_header(name: str, boxes: list[tuple[str, Address]], is_utf8: bool) -> bytes:
    if not boxes:
        return b""
    value = ", ".join(format_mailbox(display, address, is_utf8=is_utf8) for display, address in boxes)
    # The mailboxes are encoded words where they need it; what is left is for folding alone.
    return header(name, value, is_utf8=True)


def _custom_headers(headers: Mapping[str, str], is_utf8: bool) -> dict[str, bytes]:
    if len(headers) > MAX_HEADERS:
        raise ComposeError("headers", f"there are {len(headers)}; at most {MAX_HEADERS} are taken")
    lines: dict[str, bytes] = {}
    for name, value in headers.items():
        key, field = name.lower(), f"headers.{_shown(name)}"
        if not _FIELD_NAME.fullmatch(name):
            raise ComposeError(
                field, "it is no header name: printable ASCII without spaces and colons, to 76"
            )
        if key in _OURS or key.startswith(_OUR_PREFIXES):
            raise ComposeError(field, "this header is written by the queue and can't be given here")
        if key in lines:
            raise ComposeError(field, "it stands there twice")
        lines[key] = _custom_header(field, name, value, is_utf8)
    return lines


def _custom_header(field: str, name: str, value: str, is_utf8: bool) -> bytes:
    if not isinstance(value, str):
        raise ComposeError(field, "its value must be text")
    if len(value) > MAX_VALUE:
        raise ComposeError(field, f"it is longer than {MAX_VALUE} characters")
    _refuse_breaks(field, value)
    key = name.lower()
    if key == "message-id":
        return _message_id(value.strip(), field)
    if key == "date":
        _check_date(field, value)
    if key in _MAILBOXES:
        return _address_header(name, _mailboxes(field, [value]), is_utf8)
    return _header(field, name, value, is_utf8)


def _check_date(field: str, value: str) -> None:
    try:
        parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise ComposeError(field, "it is no date such as Mon, 01 Jan 2024 12:00:00 +0000") from None


def _message_id(value: str, field: str = "message_id") -> bytes:
    if not _MESSAGE_ID.fullmatch(value):
        raise ComposeError(field, "it must look like <unique@example.com>")
    return b"Message-ID: " + value.encode("ascii") + b"\r\n"


def _header(field: str, name: str, value: str, is_utf8: bool) -> bytes:
    if len(value) > MAX_VALUE:
        raise ComposeError(field, f"it is longer than {MAX_VALUE} characters")
    try:
        return header(name, value, is_utf8=is_utf8)
    except HeaderError as error:
        raise ComposeError(field, str(error)) from None


def _refuse_breaks(field: str, value: str) -> None:
    if any(sign in value for sign in "\r\n\0"):
        raise ComposeError(field, "it holds a line break or a NUL")


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in name[:76])
