"""What a reply means: its class, whether it is final, and how long the server asked us to wait.

The enhanced status code decides first, then the patterns, which are data: a text that is more
precise than its code wins. Promises: every reply gets a class; `is_permanent` is the reply code's
first digit and nothing else, so that no pattern can ever turn "try again" into a bounce or the
reverse; a reply that came before RCPT never blames the recipient; the work is bounded by the text's
length. Never looks at who the receiver is.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from .classes import CLASSES, ClassInfo
from .codes import ENHANCED, PLAIN, VAGUE
from .patterns import PATTERNS, Pattern
from .reply import Reply

__all__ = ["CLASSES", "MAX_RETRY_IN", "ClassInfo", "Verdict", "classify"]

MAX_RETRY_IN = 86_400
_MAX_TEXT = 1_000
# Before RCPT no recipient has been named: whatever the server says, it is not about the recipient.
_BEFORE_RCPT = frozenset({"connect", "greeting", "ehlo", "starttls", "auth", "mail"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rule` names what decided ("code:5.1.1", "pattern:spamhaus"); `retry_in` is seconds, when asked for."""

    reply_class: str
    is_permanent: bool
    rule: str
    retry_in: int | None


def classify(reply: Reply, stage: str = "") -> Verdict:
    """The meaning of one reply; `stage` is what it answered: greeting, starttls, mail, rcpt, data, dot …"""
    if reply.is_positive:
        return Verdict("delivered" if reply.code < 300 else "protocol", False, f"code:{reply.code}", None)
    return _verdict(reply.code, reply.enhanced, reply.text[:_MAX_TEXT].lower(), stage)


@lru_cache(maxsize=4096)
def _verdict(code: int, enhanced: str, text: str, stage: str) -> Verdict:
    by_code, rule, is_vague = _by_code(code, enhanced, stage)
    pattern = _find(code, enhanced, _without_addresses(text), stage, is_vague)
    if pattern:
        by_code, rule = pattern.reply_class, f"pattern:{pattern.name}"
    if stage in _BEFORE_RCPT and CLASSES[by_code].fault == "recipient":
        by_code = "policy"
    return Verdict(by_code, code >= 500, rule, retry_in(text) if code < 500 else None)


def _by_code(code: int, enhanced: str, stage: str) -> tuple[str, str, bool]:
    """(class, rule, whether the code says so little that any pattern may decide instead)."""
    if enhanced:
        general = "x" + enhanced[1:]
        for key in (f"{code} {enhanced}", enhanced, general):
            if key in ENHANCED:
                return ENHANCED[key], f"code:{enhanced}", general in VAGUE
    for key in (f"{code} {stage}", str(code)):
        if key in PLAIN:
            return PLAIN[key], f"code:{key}", True
    return "other", f"code:{enhanced or code}", True


def _find(code: int, enhanced: str, text: str, stage: str, is_vague: bool) -> Pattern | None:
    status = f"{code} {enhanced}"
    for place in sorted(_candidates(text)):
        pattern, parts = _PHRASES[place]
        if (is_vague or pattern.sure) and _follows(text, parts) and _applies(pattern, status, stage):
            return pattern
    return None


def _without_addresses(text: str) -> str:
    """An address may spell a key word (virus@example.com): it is no evidence."""
    return " ".join([word for word in text.split() if "@" not in word]) if "@" in text else text


def _candidates(text: str) -> set[int]:
    """Places in _PHRASES that may match: one look-up a word instead of one search a phrase."""
    return {place for key in _words(text) & _INDEX.keys() for place in _INDEX[key]}


def _follows(text: str, parts: tuple[str, ...]) -> bool:
    """Whether the parts occur in order. The earliest place of each is always the best one: linear time."""
    at = 0
    for part in parts:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _applies(pattern: Pattern, status: str, stage: str) -> bool:
    if pattern.stage and stage and pattern.stage != stage:
        return False
    return not pattern.codes or any(_matches(limit, status) for limit in pattern.codes)


def _matches(limit: str, status: str) -> bool:
    code, _, enhanced = limit.partition(" ")
    is_code, _, is_enhanced = status.partition(" ")
    return is_code.startswith(code) and (not enhanced or is_enhanced == enhanced)


def _words(text: str) -> set[str]:
    """The first four letters of each word: enough to tell phrases apart, and endings may differ."""
    return {word[:4] for word in _WORD.findall(text)}


def _index(phrases: tuple[tuple[Pattern, tuple[str, ...]], ...]) -> dict[str, list[int]]:
    """Each phrase under the rarest of its words."""
    keys = [_words(" ".join(parts)) for _, parts in phrases]
    n_uses = Counter(key for several in keys for key in several)
    index: dict[str, list[int]] = {}
    for place, several in enumerate(keys):
        index.setdefault(min(sorted(several), key=n_uses.__getitem__), []).append(place)
    return index


_WORD = re.compile(r"[^\W_]{3,}")
_PHRASES = tuple((pattern, tuple(phrase.split("*"))) for pattern in PATTERNS for phrase in pattern.phrases)
_INDEX = _index(_PHRASES)

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_WAIT = re.compile(
    r"(?:try|retry|again|back|wait|delay|delayed|deferred|grey-?list\w{0,3}|gray-?list\w{0,3}|resume)\b[^.;0-9]{0,40}?"
    r"(?:(\d{1,2}):(\d\d):(\d\d)|\b(\d{1,6})\s?(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?))\b"
)


def retry_in(text: str) -> int | None:
    """Seconds that the (lower-case) text asks us to wait, from 1 to a day; None if it asks for nothing."""
    found = _WAIT.search(text)
    if not found:
        return None
    hours, minutes, seconds, number, unit = found.groups()
    if number:
        wait = int(number) * _UNITS[unit[0]]
    else:
        wait = int(hours) * 3_600 + int(minutes) * 60 + int(seconds)
    return min(max(wait, 1), MAX_RETRY_IN)
