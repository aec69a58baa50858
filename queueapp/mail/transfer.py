"""Octets of a part out of their transfer encoding, a piece at a time (RFC 2045 section 6).

Promises: no input raises; no step holds the interpreter for long, however large the part; what can't be
decoded comes out as it is.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator

PIECE = 192 * 1024


def pieces(body: bytes, encoding: str) -> Iterator[bytes]:
    """The content, decoded piece by piece."""
    if encoding == "base64":
        yield from _from_base64(body)
    elif encoding == "quoted-printable":
        yield from _from_quoted_printable(body)
    else:
        yield from (body[at : at + PIECE] for at in range(0, len(body), PIECE))


_NO_DIGIT = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def _from_base64(body: bytes) -> Iterator[bytes]:
    """What is no digit is passed over; padding ends it."""
    rest, end = b"", body.find(b"=")
    body = body[: end if end >= 0 else len(body)]
    for at in range(0, len(body), PIECE):
        digits = rest + body[at : at + PIECE].translate(None, _NO_DIGIT)
        n = len(digits) // 4 * 4
        rest = digits[n:]
        yield binascii.a2b_base64(digits[:n])
    if len(rest) > 1:
        yield binascii.a2b_base64(rest + b"==")


def _from_quoted_printable(body: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        end = body.rfind(b"\n", at, at + PIECE) + 1 or at + PIECE
        yield binascii.a2b_qp(body[at:end])
        at = end


def size(body: bytes, encoding: str) -> int:
    """Octets after decoding, counted without decoding."""
    if encoding == "base64":
        n_digits = len(body) - body.count(b"\r") - body.count(b"\n") - body.count(b" ") - body.count(b"=")
        return n_digits * 3 // 4
    if encoding == "quoted-printable":
        n_soft = body.count(b"=\n") * 2 + body.count(b"=\r\n") * 3
        n_escapes = body.count(b"=") - body.count(b"=\n") - body.count(b"=\r\n")
        return max(len(body) - n_soft - n_escapes * 2, 0)
    return len(body)
