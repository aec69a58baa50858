"""Writing MIME: folded header lines, text and file parts, multiparts. For what we write ourselves.

Promises: CRLF line ends, ASCII octets only (except header values that the caller passes with
is_utf8), no line over 998 octets, and no value that could begin a header line of its own: that is
refused by HeaderError, never mended. RFC 5322 2.1.1, RFC 2045 to 2047, RFC 2231.
"""

from __future__ import annotations

import binascii
import re
import secrets
from email.charset import QP, Charset
from email.header import Header
from urllib.parse import quote

from .summary import to_crlf

MAX_LINE = 998
_FOLD_AT = 76
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f\u2028\u2029\ud800-\udfff]")
_SPACES = re.compile(r"(?<=\S)[ \t]+(?=\S)")
_PLAIN_PARAMETER = re.compile(r"[A-Za-z0-9!#$%&+^_`{|}~ ().,-]{1,60}")
_UTF8_WORDS = Charset("utf-8")
_UTF8_WORDS.header_encoding = QP


class HeaderError(ValueError):
    """A header value that can't be written; the text says why."""


def header(name: str, value: str, *, is_utf8: bool = False) -> bytes:
    """One header field with its CRLF. Text beyond ASCII becomes encoded words, unless `is_utf8`."""
    if found := _CONTROL.search(value):
        what = "a line break" if found.group() in "\r\n\u2028\u2029" else "a control character"
        raise HeaderError(f"it holds {what}")
    value = value.strip()
    if not is_utf8 and (not value.isascii() or "=?" in value):
        encoded = Header(value, _UTF8_WORDS, maxlinelen=_FOLD_AT, header_name=name).encode(linesep="\r\n")
        return f"{name}: {encoded}\r\n".encode("ascii")
    lines = _fold(f"{name}: {value}").encode()
    if max(map(len, lines.split(b"\r\n"))) > MAX_LINE:
        raise HeaderError(f"it holds a word too long for a line of {MAX_LINE} octets")
    return lines + b"\r\n"


def _fold(line: str) -> str:
    """Break before white space that stands between words; unfolding gives the same text again."""
    out, start, last = [], 0, 0
    # Never right after the field's name: a line of nothing but the name confuses some readers.
    for found in _SPACES.finditer(line, line.index(":") + 2):
        if found.start() - start > _FOLD_AT and last > start:
            out.append(line[start:last])
            start = last
        last = found.start()
    if len(line) - start > _FOLD_AT and last > start:
        out.append(line[start:last])
        start = last
    return "\r\n".join([*out, line[start:]])


def parameter(name: str, value: str) -> str:
    """`; name=value` for a header, by RFC 2231 where it is long or not plain ASCII."""
    if _PLAIN_PARAMETER.fullmatch(value):
        return f'; {name}="{value}"'
    encoded = "utf-8''" + quote(value, safe="")
    pieces = re.findall(r"(?:%[0-9A-F]{2}|[^%]){1,18}", encoded)
    if len(pieces) == 1:
        return f"; {name}*={encoded}"
    return "".join(f"; {name}*{number}*={piece}" for number, piece in enumerate(pieces))


def text_part(text: str, subtype: str, headers: bytes = b"") -> bytes:
    """A text entity in UTF-8: as it is where it is ASCII with short lines, else in the shorter encoding."""
    body = to_crlf(text.encode()) if text else b"\r\n"
    if body.isascii() and max(map(len, body.split(b"\r\n"))) <= MAX_LINE:
        encoding, charset = b"7bit", b"us-ascii" if subtype != "html" else b"utf-8"
    else:
        charset = b"utf-8"
        encoding = b"quoted-printable"
        packed = to_crlf(binascii.b2a_qp(body, istext=True))
        if len(packed) > len(body) * 3 // 2:
            encoding, packed = b"base64", _base64(body)
        body = packed
    kind = b"Content-Type: text/%s; charset=%s\r\n" % (subtype.encode("ascii"), charset)
    return headers + kind + b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body


def file_part(content: bytes, content_type: str, filename: str) -> bytes:
    """An attachment. A message stays readable as one: RFC 2046 5.2.1 allows it no base64."""
    kind = header("Content-Type", content_type)
    disposition = header(
        "Content-Disposition", "attachment" + (parameter("filename", filename) if filename else "")
    )
    if content_type == "message/rfc822" and content.isascii():
        return kind + disposition + b"Content-Transfer-Encoding: 7bit\r\n\r\n" + to_crlf(content)
    return kind + disposition + b"Content-Transfer-Encoding: base64\r\n\r\n" + _base64(content)


def multipart(kind: str, parts: list[bytes]) -> bytes:
    """A multipart entity, `kind` as in "mixed" or 'report; report-type=delivery-status'."""
    # "=_" can't occur in base64 or quoted-printable; the rest is for plain text that quotes us.
    boundary = "=_" + secrets.token_hex(16)
    subtype, _, parameters = kind.partition(";")
    more = f";{parameters}" if parameters else ""
    out = [header("Content-Type", f'multipart/{subtype}{more}; boundary="{boundary}"'), b"\r\n"]
    mark = boundary.encode("ascii")
    for part in parts:
        # The CRLF before a delimiter is part of it: the text keeps its own last line end.
        out += [b"--", mark, b"\r\n", part, b"\r\n"]
    return b"".join([*out, b"--", mark, b"--\r\n"])


def _base64(data: bytes) -> bytes:
    digits = binascii.b2a_base64(data, newline=False)
    return b"".join(digits[at : at + 76] + b"\r\n" for at in range(0, len(digits), 76))
