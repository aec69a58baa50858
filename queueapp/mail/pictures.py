"""Pictures that a mail brings along (RFC 2392 `cid:`), put into its HTML as `data:`: nothing is fetched.

Promises: only what is a PNG, JPEG or GIF by its own first octets goes in, whatever the mail calls it, and
only up to a size in octets and in points; all of them together are bounded, however often they are shown.
What is left out stays as it was written, and a browser shows its alternative text. Linear in the length.
"""

from __future__ import annotations

import re
import struct
from base64 import b64encode
from collections.abc import Callable
from urllib.parse import unquote

from .transfer import pieces
from .view import numbered

MOST = 2_000_000  # octets of one picture
MOST_TOTAL = 8_000_000  # of all that is put in, each time it is
MOST_POINTS = 40_000_000
_MOST_SIDE = 20_000
_SHOWN = re.compile(
    r"""((?<![\w-])(?:src|background)\s{0,8}=\s{0,8}["']?\s{0,8}|url\(\s{0,8}["']?\s{0,8})cid:([^"'\s<>)]{1,250})""",
    re.IGNORECASE,
)


def with_pictures(html: str, raw: bytes) -> str:
    """The HTML with each `cid:` that this mail has a picture for."""
    wanted = {_id(match[2]) for match in _SHOWN.finditer(html)}
    if not wanted:
        return html
    known = _found(raw, wanted)
    left = MOST_TOTAL

    def shown(match: re.Match[str]) -> str:
        nonlocal left
        data = known.get(_id(match[2]), "")
        left -= len(data)
        return f"{match[1]}{data}" if data and left >= 0 else match[0]

    return _SHOWN.sub(shown, html)


def _id(text: str) -> str:
    return unquote(text.replace("&amp;", "&"))


def _found(raw: bytes, wanted: set[str]) -> dict[str, str]:
    """As addresses, by the id; the first of each."""
    found: dict[str, str] = {}
    left = MOST_TOTAL
    for name, encoding, body in numbered(raw):
        if name not in wanted or name in found or len(body) > 2 * MOST:
            continue
        content = b"".join(pieces(body, encoding))
        kind = kind_of(content)
        if kind and len(content) <= MOST and left > 0:
            left -= len(content)
            found[name] = f"data:{kind};base64,{b64encode(content).decode()}"
    return found


def kind_of(content: bytes) -> str:
    """Its type, where it is a picture that may be shown; else ""."""
    for kind, magic, sides in _KINDS:
        if content.startswith(magic):
            try:
                width, height = sides(content)
            except (struct.error, IndexError):
                return ""
            is_good = 0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE
            return kind if is_good and width * height <= MOST_POINTS else ""
    return ""


def _png(content: bytes) -> tuple[int, int]:
    return struct.unpack_from(">II", content, 16)


def _gif(content: bytes) -> tuple[int, int]:
    return struct.unpack_from("<HH", content, 6)


def _jpeg(content: bytes) -> tuple[int, int]:
    """From the frame header (ITU T.81, B.2.2), behind segments of other kinds."""
    at = 2
    for _ in range(500):
        marker, kind, length = struct.unpack_from(">BBH", content, at)
        if marker != 0xFF:
            break
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        at += 2 + length
    return 0, 0


_KINDS: tuple[tuple[str, bytes, Callable[[bytes], tuple[int, int]]], ...] = (
    ("image/png", b"\x89PNG\r\n\x1a\n", _png),
    ("image/jpeg", b"\xff\xd8\xff", _jpeg),
    ("image/gif", b"GIF8", _gif),
)
