"""A message as a page shows it: decoded headers, text, HTML, the list of attachments.

For people who look, not for delivery: it guesses where a mail is broken. Never raises, and bounds
everything: depth, parts, headers, characters; `is_truncated` says when something was left out. The
HTML is the stranger's own: it may only be shown in a sandboxed frame.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from email.message import Message

from .headers import body_start, decode, fields, header_block, tame, to_text

MAX_HEADERS = 10_000
MAX_PARTS = 500
MAX_DEPTH = 20

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(slots=True)
class MessageView:
    """`attachments`: (file name, content type, size in octets after decoding)."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""
    html: str = ""
    attachments: list[tuple[str, str, int]] = field(default_factory=list)
    is_truncated: bool = False


@dataclass(slots=True)
class _Part:
    content_type: str
    boundary: str
    charset: str
    filename: str
    is_attachment: bool
    encoding: str
    body: bytes


def view(raw: bytes, *, limit: int = 1_000_000) -> MessageView:
    """Look into one message; `limit` is the most characters of text, and of HTML, that come back."""
    shown = MessageView()
    for name, value in fields(header_block(raw)):
        if len(shown.headers) == MAX_HEADERS:
            shown.is_truncated = True
            break
        shown.headers.append((tame(to_text(name[:200])), decode(value)))
    todo, n_parts = [(raw, 0)], 0
    while todo:
        entity, depth = todo.pop()
        part = _read(entity)
        n_parts += 1
        if n_parts > MAX_PARTS:
            shown.is_truncated = True
            break
        if part.boundary:
            if depth < MAX_DEPTH:
                inner, is_cut = _split(part.body, part.boundary)
                todo += [(one, depth + 1) for one in reversed(inner)]
                shown.is_truncated |= is_cut
            else:
                shown.is_truncated = True
        else:
            _show(part, shown, limit)
    return shown


def _read(entity: bytes) -> _Part:
    values: dict[bytes, bytes] = {}
    for name, value in fields(header_block(entity)):
        values.setdefault(name.lower(), value[:4_000])
    head: Message[str, str] = Message()
    # Reading parameters is the library's work (RFC 2231); it sees one bounded, tamed line.
    head["Content-Type"] = tame(to_text(values.get(b"content-type", b"text/plain")))
    head["Content-Disposition"] = tame(to_text(values.get(b"content-disposition", b""))) or "inline"
    kind = head.get_content_type()
    return _Part(
        content_type=kind,
        boundary=_parameter(head, "boundary") if kind.startswith("multipart/") else "",
        charset=_parameter(head, "charset"),
        filename=_filename(head),
        is_attachment=head.get_content_disposition() == "attachment",
        encoding=to_text(values.get(b"content-transfer-encoding", b"")).strip().lower(),
        body=entity[body_start(entity) :],
    )


def _parameter(head: Message[str, str], name: str) -> str:
    try:
        value = head.get_param(name, "")
    except (ValueError, LookupError, IndexError, TypeError):
        return ""
    return str(value[2] if isinstance(value, tuple) else value or "").rstrip()


def _filename(head: Message[str, str]) -> str:
    try:
        return decode(head.get_filename("") or "")[:255]
    except (ValueError, LookupError, IndexError, TypeError):
        return ""


def _split(body: bytes, boundary: str) -> tuple[list[bytes], bool]:
    """The entities between the boundary lines, and whether there were too many of them."""
    delimiter = b"\n--" + boundary.encode("utf-8", "replace")
    at = 0 if body.startswith(delimiter[1:]) else body.find(delimiter) + 1
    if at == 0 and not body.startswith(delimiter[1:]):
        # No boundary line at all: show what is there as text.
        return [b"\n" + body], False
    parts: list[bytes] = []
    while len(parts) <= MAX_PARTS:
        line_end = body.find(b"\n", at)
        is_last = body.startswith(b"--", at + len(delimiter) - 1)
        if line_end < 0 or is_last:
            return parts, False
        end = body.find(delimiter, line_end)
        parts.append(body[line_end + 1 : end if end >= 0 else len(body)].removesuffix(b"\r"))
        if end < 0:
            return parts, False
        at = end + 1
    return parts, True


def _show(part: _Part, shown: MessageView, limit: int) -> None:
    is_shown = not part.is_attachment and not part.filename
    if is_shown and part.content_type == "text/plain":
        text, is_cut = _text(part, limit)
        shown.text = f"{shown.text}\n\n{text}" if shown.text else text
        shown.is_truncated |= is_cut or len(shown.text) > limit
        shown.text = shown.text[:limit]
    elif is_shown and part.content_type == "text/html" and not shown.html:
        shown.html, is_cut = _text(part, limit)
        shown.is_truncated |= is_cut
    elif part.content_type != "text/plain" or not is_shown:
        shown.attachments.append((part.filename, tame(part.content_type)[:100], _size(part)))


def _text(part: _Part, limit: int) -> tuple[str, bool]:
    # Four octets a character at most, and encodings at most triple that.
    body = part.body[: limit * 12]
    text = _CONTROLS.sub("", to_text(_decoded(body, part.encoding), part.charset or "utf-8"))
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text[:limit], len(text) > limit or len(part.body) > len(body)


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    if encoding == "base64":
        try:
            return binascii.a2b_base64(body[: len(body) // 4 * 4 + 4] + b"==")
        except binascii.Error:
            return body
    return body


def _size(part: _Part) -> int:
    """Octets after decoding, counted without decoding."""
    body = part.body
    if part.encoding == "base64":
        n_digits = len(body) - body.count(b"\r") - body.count(b"\n") - body.count(b" ") - body.count(b"=")
        return n_digits * 3 // 4
    if part.encoding == "quoted-printable":
        n_soft = body.count(b"=\n") * 2 + body.count(b"=\r\n") * 3
        n_escapes = body.count(b"=") - body.count(b"=\n") - body.count(b"=\r\n")
        return max(len(body) - n_soft - n_escapes * 2, 0)
    return len(body)
