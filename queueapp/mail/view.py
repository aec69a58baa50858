"""A message as a page shows it: decoded headers, text, HTML, the list of attachments, one attachment.

For people who look, not for delivery: it guesses where a mail is broken. Never raises, and bounds
everything: depth, parts, headers, characters; `cuts` says in words what was left out. No single step
holds the interpreter for long, however large the mail: what is decoded is decoded in pieces. The HTML is
the stranger's own: it may only be shown in a sandboxed frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from typing import NamedTuple

from .headers import MAX_BLOCK, MAX_VALUE, body_start, decode, fields, header_block, tame, to_text
from .transfer import PIECE, pieces, size

MAX_HEADERS = 500
MAX_RAW_HEADERS = 100_000
MAX_PARTS = 500
MAX_DEPTH = 20
MAX_TYPE = 100

_MAX_PART_HEADERS = 16_384
_MAX_PARAMETERS = 2_000
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class FilePart(NamedTuple):
    """`size` in octets after decoding."""

    filename: str
    content_type: str
    size: int


@dataclass(slots=True)
class MessageView:
    """`raw_headers` as they came, but for what would harm a page. `attachments` in the mail's order: the
    first is number 1 to `attachment`. `cuts`: what was left out, in words for people."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    raw_headers: str = ""
    text: str = ""
    html: str = ""
    attachments: list[FilePart] = field(default_factory=list)
    cuts: list[str] = field(default_factory=list)

    @property
    def is_truncated(self) -> bool:
        return bool(self.cuts)


@dataclass(slots=True)
class _Part:
    content_type: str
    boundary: str
    charset: str
    filename: str
    is_attachment: bool
    encoding: str
    body: bytes
    content_id: str = ""


def view(raw: bytes, *, limit: int = 1_000_000) -> MessageView:
    """Look into one message; `limit` is the most characters of text, and of HTML, that come back."""
    shown = MessageView()
    _show_headers(raw, shown)
    for part, kind in _sorted(raw, shown.cuts):
        if kind == "text":
            _show_text(part, shown, limit)
        elif kind == "html":
            _show_html(part, shown, limit)
        else:
            shown.attachments.append(_file(part))
    return shown


def attachment(raw: bytes, number: int) -> tuple[FilePart, bytes] | None:
    """One of `view(raw).attachments`, counted from 1, and what is in it; None where there is none."""
    files = (part for part, kind in _sorted(raw, []) if kind == "file")
    for n, part in enumerate(files, 1):
        if n == number:
            return _file(part), b"".join(pieces(part.body, part.encoding))
    return None


def numbered(raw: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Parts that have a Content-ID: the id, the transfer encoding, and what is encoded so."""
    for part in _leaves(raw, []):
        if part.content_id:
            yield part.content_id, part.encoding, part.body


def _show_headers(raw: bytes, shown: MessageView) -> None:
    block = header_block(raw)
    if len(block) == MAX_BLOCK:
        _cut(shown.cuts, f"the headers after the first {MAX_BLOCK // 1024} KB")
    n = 0
    for name, value in fields(block):
        n += 1
        if len(value) > MAX_VALUE:
            _cut(shown.cuts, f"headers longer than {MAX_VALUE // 1000} KB")
        if n <= MAX_HEADERS:
            shown.headers.append((tame(to_text(name[:200])), decode(value)))
    if n > MAX_HEADERS:
        _cut(shown.cuts, f"{n - MAX_HEADERS:,} of {n:,} headers")
    if len(block) > MAX_RAW_HEADERS:
        _cut(shown.cuts, f"the raw headers after the first {MAX_RAW_HEADERS // 1000} KB")
    lines = to_text(block[:MAX_RAW_HEADERS]).replace("\r\n", "\n").split("\n")
    shown.raw_headers = "\n".join(line if line.isprintable() else _printable(line) for line in lines)


def _printable(line: str) -> str:
    """With its leading white space: that is how a header goes on."""
    return "".join(each if each.isprintable() or each == "\t" else "\ufffd" for each in line.rstrip("\r"))


def _cut(cuts: list[str], what: str) -> None:
    if what not in cuts:
        cuts.append(what)


def _sorted(raw: bytes, cuts: list[str]) -> Iterator[tuple[_Part, str]]:
    """Each part with what it is to a reader: `text`, `html` (the first one), or `file`."""
    has_html = False
    for part in _leaves(raw, cuts):
        kind = {"text/plain": "text", "text/html": "html"}.get(part.content_type, "file")
        if part.is_attachment or part.filename or (kind == "html" and has_html):
            kind = "file"
        has_html = has_html or kind == "html"
        yield part, kind


def _leaves(raw: bytes, cuts: list[str]) -> Iterator[_Part]:
    """The parts that hold no others, in the mail's order."""
    todo, n_parts = [(raw, 0)], 0
    while todo:
        entity, depth = todo.pop()
        n_parts += 1
        if n_parts > MAX_PARTS:
            _cut(cuts, f"the parts after the first {MAX_PARTS}")
            return
        part = _read(entity)
        if not part.boundary:
            yield part
        elif depth < MAX_DEPTH:
            inner, is_cut = _split(part.body, part.boundary)
            todo += [(one, depth + 1) for one in reversed(inner)]
            if is_cut:
                _cut(cuts, f"the parts after the first {MAX_PARTS}")
        else:
            _cut(cuts, f"what is nested deeper than {MAX_DEPTH} levels")


def _read(entity: bytes) -> _Part:
    values: dict[bytes, bytes] = {}
    for name, value in fields(header_block(entity)[:_MAX_PART_HEADERS]):
        values.setdefault(name.lower(), value[:_MAX_PARAMETERS])
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
        content_id=to_text(values.get(b"content-id", b"")).strip().removeprefix("<").removesuffix(">"),
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


def _show_text(part: _Part, shown: MessageView, limit: int) -> None:
    text, is_cut = _text(part, limit)
    shown.text = f"{shown.text}\n\n{text}" if shown.text else text
    if is_cut or len(shown.text) > limit:
        _cut(shown.cuts, f"the text after the first {limit:,} characters")
    shown.text = shown.text[:limit]


def _show_html(part: _Part, shown: MessageView, limit: int) -> None:
    shown.html, is_cut = _text(part, limit)
    if is_cut:
        _cut(shown.cuts, f"the HTML after the first {limit:,} characters")


def _file(part: _Part) -> FilePart:
    return FilePart(part.filename, tame(part.content_type)[:MAX_TYPE], size(part.body, part.encoding))


def _text(part: _Part, limit: int) -> tuple[str, bool]:
    octets, is_cut = _beginning(part, limit * 4)  # a character has four octets at most
    text = to_text(octets, part.charset or "utf-8")
    tamed: list[str] = []
    n = at = 0
    while at < len(text) and n <= limit:
        tamed.append(_CONTROLS.sub("", text[at : at + PIECE]))
        n += len(tamed[-1]) - tamed[-1].count("\r\n")
        at += PIECE
    found = "".join(tamed).replace("\r\n", "\n").replace("\r", "\n")
    return found[:limit], is_cut or at < len(text) or len(found) > limit


def _beginning(part: _Part, most: int) -> tuple[bytes, bool]:
    """At most so many octets after decoding, and whether there are more."""
    found: list[bytes] = []
    n = 0
    for piece in pieces(part.body, part.encoding):
        if n >= most:
            return b"".join(found), True
        found.append(piece)
        n += len(piece)
    whole = b"".join(found)
    return whole[:most], len(whole) > most
