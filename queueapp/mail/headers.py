"""Reading header blocks of mail that strangers wrote: bounded, tolerant, never failing.

Promises: no input raises; work and results are bounded; text that comes out holds no NUL, control
character, lone surrogate or change of reading direction, so a database and a page can take it.
RFC 5322 2.2, RFC 2047.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from encodings.aliases import aliases

MAX_BLOCK = 262_144
MAX_VALUE = 8_000

_HOSTILE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]+")
_WORD = re.compile(r"=\?([A-Za-z0-9_.:+-]{1,40})(?:\*[A-Za-z0-9-]{0,20})?\?([bBqQ])\?([^?\s]{0,2000})\?=")

# Only names that Python knows: its codec look-up remembers every other name for ever. And no codec
# that is not a character set, or that is slow on hostile input.
_NO_CHARSETS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
_NO_TEXT = {"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"}
_CODECS = {**aliases, **{codec: codec for codec in aliases.values()}}
_CODECS = {name: codec for name, codec in _CODECS.items() if codec not in _NO_CHARSETS | _NO_TEXT}


def header_block(raw: bytes) -> bytes:
    """Everything before the first empty line, at most MAX_BLOCK octets. Lines end as they came."""
    return raw[: _empty_line(raw, MAX_BLOCK)[0]]


def body_start(raw: bytes) -> int:
    """Where the body begins; the length where there is none."""
    return _empty_line(raw, len(raw))[1]


def _empty_line(raw: bytes, limit: int) -> tuple[int, int]:
    """(end of the header block, start of the body)."""
    for begin in (b"\r\n", b"\n"):
        if raw.startswith(begin):
            return 0, len(begin)
    crlf = raw.find(b"\n\r\n", 0, limit)
    # Looked for only before the other, or a large mail would be read to its end.
    lf = raw.find(b"\n\n", 0, crlf if crlf >= 0 else limit)
    if lf >= 0:
        return lf, lf + 2
    return (crlf, crlf + 3) if crlf >= 0 else (min(limit, len(raw)), len(raw))


def fields(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name as written, unfolded value) in order. Lines that are no header are left out."""
    name, value = b"", [b""]
    for line in block.split(b"\n"):
        line = line.rstrip(b"\r")
        if line[:1] in (b" ", b"\t"):
            value.append(line)
            continue
        if name:
            yield name, b"".join(value).strip()
        name, colon, rest = line.partition(b":")
        name, value = (name.rstrip() if colon else b""), [rest]
    if name:
        yield name, b"".join(value).strip()


def decode(value: bytes | str) -> str:
    """A header value as people read it: encoded words decoded, hostile characters out."""
    text = to_text(value[:MAX_VALUE]) if isinstance(value, bytes) else value[:MAX_VALUE]
    if "=?" in text:
        text = _decode_words(text)
    return tame(text)


def tame(text: str) -> str:
    """One line without control characters, lone surrogates or changes of reading direction."""
    return _HOSTILE.sub(" ", text).strip() if not text.isprintable() else text.strip()


def to_text(raw: bytes, charset: str = "utf-8") -> str:
    """Octets as text: in the charset if it is known and fits, else UTF-8, else Latin-1. Never fails."""
    name = re.sub(r"[^a-z0-9]+", "_", charset[:40].lower()).strip("_")
    codec = _CODECS.get(name, "utf-8")
    for candidate in (codec, "utf-8"):
        try:
            return raw.decode(candidate)
        except (UnicodeError, ValueError):
            continue
    # Text cut in the middle of a character is still that charset, not Latin-1.
    text = raw.decode("utf-8", "replace")
    return text if text.count("\ufffd") * 20 < len(text) else raw.decode("latin-1")


def _decode_words(text: str) -> str:
    out: list[str] = []
    pending, charset, end = b"", "", 0
    for found in _WORD.finditer(text):
        between = text[end : found.start()]
        joins = bool(charset) and not between.strip()
        if not joins or found.group(1).lower() != charset:
            # Mailers split characters over words: octets are joined before they are decoded.
            out.append(to_text(pending, charset) if charset else "")
            pending = b""
        if not joins:
            out.append(between)
        pending += _octets(found.group(2), found.group(3))
        charset, end = found.group(1).lower(), found.end()
    out.append(to_text(pending, charset) if charset else "")
    return "".join(out) + text[end:]


def _octets(encoding: str, payload: str) -> bytes:
    data = payload.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    try:
        return binascii.a2b_base64(data + b"==")
    except binascii.Error:
        return data
