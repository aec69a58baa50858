"""Bytes from the server become replies, in bounded memory whatever the server sends.

Promises: at most MAX_LINE octets of a line and MAX_KEPT of a reply are kept; a reply that goes on past
MAX_REPLY octets, or a line that is no reply line, raises `Malformed` and the parser is done with.
Never: guesses. A bare LF ends a line as CRLF does, since it can only be part of a text.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

MAX_LINE = 4096
MAX_KEPT = 8192
MAX_REPLY = 65536
_CODES = {b"%d" % code: code for code in range(200, 600)}


class Malformed(Exception):
    """What came is not an SMTP reply; the text says what came instead."""


class RawReply(NamedTuple):
    """One whole reply. `raw`: its lines, without the last line end; the last line's code counts."""

    code: int
    raw: bytes

    def lines(self) -> list[str]:
        """The texts behind the codes, one a line."""
        return [line[4:].decode("utf-8", "replace").rstrip("\r") for line in self.raw.split(b"\n")]


class ReplyParser:
    """Feed it what the socket gives; whole replies gather in `replies`."""

    __slots__ = ("_kept", "_rest", "_seen", "_seen_line", "replies")

    def __init__(self) -> None:
        self.replies: deque[RawReply] = deque()
        self._rest = b""  # the unfinished line, at most MAX_LINE octets of it
        self._seen_line = 0  # how long that line is in truth
        self._kept = b""  # the finished lines of an unfinished reply
        self._seen = 0  # how long they are in truth

    @property
    def has_partial(self) -> bool:
        """Something came that is not a whole reply yet."""
        return bool(self._rest or self._kept)

    def feed(self, data: bytes) -> None:
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._line(data[start:end])
            start = end + 1
        if start < len(data):
            self._seen_line += len(data) - start
            self._rest = (self._rest + data[start : start + MAX_LINE])[:MAX_LINE]
            self._check_size()

    def _line(self, piece: bytes) -> None:
        is_partial = self._rest or self._kept
        if is_partial or len(piece) > MAX_LINE:
            self._seen += self._seen_line + len(piece)
            self._seen_line = 0
            self._check_size()
            piece = (self._rest + piece)[:MAX_LINE]
            self._rest = b""
        code, separator = _CODES.get(piece[:3]), piece[3:4]
        if code is None or separator not in (b" ", b"-", b"", b"\r"):
            raise Malformed(f"the server sent a line that is no SMTP reply: {piece[:80]!r}")
        line = piece.rstrip(b"\r")
        if separator != b"-":
            self.replies.append(RawReply(code, self._kept + line))
            self._kept = b""
            self._seen = 0
            return
        if not is_partial:
            self._seen += len(piece)
        if len(self._kept) + len(line) <= MAX_KEPT:
            self._kept += line + b"\r\n"

    def _check_size(self) -> None:
        if self._seen + self._seen_line > MAX_REPLY:
            raise Malformed(f"the server sent a reply longer than {MAX_REPLY} octets")
