"""What a rule looks for in a reply, in the language of mail/patterns.toml: words, `*` for anything, codes.

Pure. There are no regular expressions, so no rule can be slow: a text is looked through once a phrase.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST_TEXTS, MOST_TEXT, MOST_CODES = 20, 200, 20
_CODE = re.compile(r"[45](?:[0-9]{2})?(?: [45]\.[0-9]{1,3}\.[0-9]{1,3})?")
_WORD = re.compile(r"[^\W_]{3,}")
Parts = tuple[str, ...]


class WrongWording(ValueError):
    """The text is for people, and names the value."""


def phrase(text: str) -> Parts:
    """Its parts between the asterisks, in small letters. Raises WrongWording."""
    small = " ".join(text.lower().split())
    if not _WORD.search(small) or len(small) > MOST_TEXT or not small.isprintable():
        raise WrongWording(
            f"the text {text[:60]!r} needs a word of 3 letters or more, in at most {MOST_TEXT} printable ones"
        )
    return tuple(part for part in small.split("*") if part)


def code(text: str) -> str:
    """`4`, `421` or `421 4.7.28`. Raises WrongWording."""
    plain = " ".join(text.split())
    if not _CODE.fullmatch(plain):
        raise WrongWording(f"the code {text[:30]!r} is not such as 4, 421 or '421 4.7.28'")
    return plain


def has(text: str, parts: Parts) -> bool:
    """Whether the parts occur in order in a text of small letters, the first from the start of a word."""
    at = _start(text, parts[0])
    while at >= 0:
        end = at + len(parts[0])
        for part in parts[1:]:
            found = text.find(part, end)
            if found < 0:
                return False
            end = found + len(part)
        return True
    return False


def _start(text: str, part: str) -> int:
    at = text.find(part)
    while at > 0 and text[at - 1].isalnum() and part[0].isalnum():
        at = text.find(part, at + 1)
    return at


def fits(codes: Iterable[str], status: int, enhanced: str) -> bool:
    """Whether the reply has one of these codes."""
    for each in codes:
        basic, _, more = each.partition(" ")
        if str(status).startswith(basic) and (not more or enhanced == more):
            return True
    return False


def without_addresses(text: str) -> str:
    """An address may spell any word: it is no evidence."""
    return " ".join(word for word in text.split() if "@" not in word) if "@" in text else text
