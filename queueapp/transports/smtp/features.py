"""What a server offers, read from its EHLO reply (RFC 5321 section 4.1.1.1).

Unknown keywords are ignored, a SIZE that is no number counts as none, a HELO reply offers nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queueapp.transports.smtp.replies import RawReply


@dataclass(frozen=True, slots=True)
class Features:
    """`size` is None when SIZE is not offered, 0 when offered without a limit (RFC 1870)."""

    has_pipelining: bool = False
    has_8bitmime: bool = False
    has_smtputf8: bool = False
    has_starttls: bool = False
    has_requiretls: bool = False
    size: int | None = None
    auth: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, reply: RawReply) -> Features:
        offers: dict[str, list[str]] = {}
        for line in reply.lines()[1:]:
            # "AUTH=LOGIN" is how servers wrote it before RFC 2554
            keyword, *values = line.upper().replace("AUTH=", "AUTH ", 1).split()[:64] or [""]
            offers.setdefault(keyword, []).extend(values)
        return cls(
            has_pipelining="PIPELINING" in offers,
            has_8bitmime="8BITMIME" in offers,
            has_smtputf8="SMTPUTF8" in offers,
            has_starttls="STARTTLS" in offers,
            has_requiretls="REQUIRETLS" in offers,
            size=_size(offers.get("SIZE")),
            auth=frozenset(offers.get("AUTH", ())),
        )


def _size(values: list[str] | None) -> int | None:
    if values is None:
        return None
    is_number = bool(values) and values[0].isascii() and values[0].isdigit() and len(values[0]) <= 20
    return int(values[0]) if is_number else 0
