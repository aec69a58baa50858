"""The two header fields that the sandbox keeps beside a mail: cheap, bounded, never fails."""

from __future__ import annotations

import re
from email.header import decode_header, make_header

_MAX_HEADER = 65_536
_MAX_FIELD = 998
_FIELD = re.compile(
    rb"^(message-id|subject):[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*){0,40})", re.IGNORECASE | re.MULTILINE
)
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def peek(content: bytes) -> tuple[str, str]:
    """Message-ID (with its angle brackets, as written) and decoded subject; "" where there is none."""
    if content.startswith(b"\r\n"):
        return "", ""  # no header at all
    end = content.find(b"\r\n\r\n", 0, _MAX_HEADER)
    found: dict[bytes, bytes] = {}
    for match in _FIELD.finditer(content, 0, end if end >= 0 else min(len(content), _MAX_HEADER)):
        found.setdefault(match[1].lower(), match[2])
    return _text(found.get(b"message-id", b"")), _decoded(found.get(b"subject", b""))


def _text(raw: bytes) -> str:
    return _UNFIT.sub(" ", raw[: _MAX_FIELD * 4].decode("utf-8", "replace")).strip()[:_MAX_FIELD]


def _decoded(raw: bytes) -> str:
    plain = _text(raw)
    if "=?" not in plain:
        return plain
    try:
        decoded = str(make_header(decode_header(plain)))
    except Exception:  # a stranger's header may break the standard library in many ways
        return plain
    return _UNFIT.sub(" ", decoded).strip()[:_MAX_FIELD]
