"""What arrives after DATA: find its end, undo dot-stuffing, and name what is wrong with it.

Promises: only CR LF . CR LF ends the mail (a bare LF or CR never does, so nothing can be smuggled
past it); the content comes out byte for byte as the client meant it; memory stays within the size
limit, since what is beyond it is thrown away while reading on to the end. Each chunk is searched
once. The content is never repaired: it is taken or refused as a whole.
"""

from __future__ import annotations

import re

from queueapp.transports.smtp.server_lines import Reply

_END = b"\r\n.\r\n"
_KEEP = 4  # octets of the terminator that may already have been read


class DataReader:
    """Feeds on chunks until the dot. The line break before the first line is supplied here."""

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self.is_too_big = False
        self._held = bytearray(b"\r\n")
        self._counted = 0
        self._n_stuffed = 0

    def feed(self, chunk: bytes | bytearray) -> bytes | None:
        """What follows the end of the mail, or None while the end has not come."""
        held = self._held
        start = max(0, len(held) - _KEEP)
        held += chunk
        end = held.find(_END, start)
        if end < 0:
            self._shed()
            return None
        rest = bytes(held[end + len(_END) :])
        del held[end + 2 :]
        return rest

    def content(self) -> bytes:
        """The mail without dot-stuffing; empty if it was too big. Call once, after the end."""
        held = self._held
        if self.is_too_big:
            return b""
        if b"\r\n." in held:
            held = held.replace(b"\r\n.", b"\r\n")
        self.is_too_big = len(held) - 2 > self.max_size
        return b"" if self.is_too_big else bytes(memoryview(held)[2:])

    def _shed(self) -> None:
        """Keep no more than the limit; the dots that stuffing added don't count (RFC 1870)."""
        held = self._held
        if not self.is_too_big:
            if len(held) <= self.max_size + _KEEP + 2:
                return
            self._n_stuffed += held.count(b"\r\n.", self._counted)
            self._counted = max(self._counted, len(held) - 2)
            self.is_too_big = len(held) - self._n_stuffed > self.max_size + _KEEP + 2
        if self.is_too_big:
            del held[:-_KEEP]


def check_content(content: bytes, *, is_strict: bool, max_line: int) -> Reply | None:
    """Why the content must be refused, or None. `max_line` counts octets without CR LF; 0: any."""
    if is_strict:
        pairs = content.count(b"\r\n")
        if content.count(b"\n") != pairs or content.count(b"\r") != pairs:
            return _bare_line_end(content)
        at = content.find(b"\0")
        if at >= 0:
            return Reply(554, "5.6.0", f"Line {_line_number(content, at)} has a NUL byte; encode the part")
    if max_line:
        return _long_line(content, max_line)
    return None


def _bare_line_end(content: bytes) -> Reply:
    match = re.search(rb"\r(?!\n)|(?<!\r)\n", content)
    at = match.start() if match else 0
    kind = "LF" if content[at : at + 1] == b"\n" else "CR"
    number = _line_number(content, at)
    return Reply(550, "5.6.11", f"Line {number} has a bare {kind}; lines must end with CR LF")


def _long_line(content: bytes, max_line: int) -> Reply | None:
    start = 0
    while len(content) - start > max_line:
        # The last line end within reach; everything before it is short enough.
        end = content.rfind(b"\r\n", start, start + max_line + 2)
        if end < 0:
            number = _line_number(content, start)
            return Reply(554, "5.6.0", f"Line {number} is longer than {max_line} octets; encode or fold it")
        start = end + 2
    return None


def _line_number(content: bytes, at: int) -> int:
    return content.count(b"\r\n", 0, at) + 1
