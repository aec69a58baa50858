"""What a reply says, without what differs from mail to mail: numbers, ids, addresses, IPs, times, URLs.

    "<ann@example.com>: mailbox full, ref 3XyZ9" -> ("mailbox full, ref",) with any text around

Replies with the same gist are told together, and the gist finds them again: joined by `*` it is a pattern.
Pure. Bounded by the length of the reply.
"""

from __future__ import annotations

import re

LONGEST = 160

# An address of the web; the words of a date; a run of characters with a digit or an @ in it, but not what
# encloses it.
_DATE = (
    r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? (?=\d|[A-Z][a-z]{2} \d)"
    r"|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b(?= \d)"
)
_VARYING = re.compile(
    r"https?://[^\s<>()\[\]{}\"',;]+|" + _DATE + r"|[^\s<>()\[\]{}\"',;=]*[0-9@][^\s<>()\[\]{}\"',;=]*"
)
_AROUND = " \t<>()[]{}\"',;:="


def gist(reply: str) -> tuple[str, ...]:
    """The parts that stay, in order, at most LONGEST characters of the reply; () where none stays."""
    parts, found = _VARYING.split(" ".join(reply.split())[:LONGEST]), []
    for part in parts:
        kept = part.strip(_AROUND)
        if kept and any(char.isalpha() for char in kept):
            found.append(kept)
    return tuple(found)


def shown(parts: tuple[str, ...]) -> str:
    return " … ".join(parts)
