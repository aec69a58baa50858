"""What a reply means: its class, whether it is final, and how long the server asked us to wait.

Lines of the administrator's own decide first. Then the enhanced status code, then the shipped patterns,
which are data: a text that is more precise than its code wins. Promises: every reply gets a class;
`is_permanent` is the reply code's first digit and nothing else, so that no line, own or shipped, can ever
turn "try again" into a bounce or the reverse; a reply that came before RCPT never blames the recipient;
the work is bounded by the text's length. Only own lines may ask which host it was.

`use` hands own lines in (engine/own_lines.py); a process that nobody told has none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from .classes import CLASSES, ClassInfo
from .codes import ENHANCED, PLAIN, VAGUE
from .patterns import PATTERNS, Pattern
from .providers import is_in
from .reply import Reply
from .wording import Index

__all__ = ["CLASSES", "MAX_RETRY_IN", "ClassInfo", "Table", "Verdict", "classify", "table", "use"]

MAX_RETRY_IN = 86_400
_MAX_TEXT = 1_000
_KEPT = 4_096
# Before RCPT no recipient has been named: whatever the server says, it is not about the recipient.
_BEFORE_RCPT = frozenset({"connect", "greeting", "ehlo", "starttls", "auth", "mail"})
_SHIPPED = Index(PATTERNS)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rule` names what decided ("code:5.1.1", "pattern:spamhaus", "own:intranet"); `retry_in` is seconds,
    when asked for."""

    reply_class: str
    is_permanent: bool
    rule: str
    retry_in: int | None


@dataclass(frozen=True, slots=True)
class Account:
    """A verdict with all lines that match, the first one first, and the code's own word."""

    verdict: Verdict
    lines: tuple[Pattern, ...]
    code_class: str
    code_rule: str


class Table:
    """The lines that decide: own ones in their order, then the shipped. Remembers what it judged last."""

    def __init__(self, own: tuple[Pattern, ...] = ()) -> None:
        self.own = own
        self._own = Index(own) if own else None
        self._asks_host = any(line.hosts for line in own)
        self._verdict = lru_cache(_KEPT)(self._judged)

    def classify(self, reply: Reply, stage: str = "", host: str = "") -> Verdict:
        """The meaning of one reply; `stage` is what it answered: greeting, starttls, mail, rcpt, data, dot …;
        `host` is the MX host that gave it."""
        if reply.is_positive:
            return Verdict("delivered" if reply.code < 300 else "protocol", False, f"code:{reply.code}", None)
        text = reply.text[:_MAX_TEXT].lower()
        return self._verdict(reply.code, reply.enhanced, text, stage, host if self._asks_host else "")

    def explain(self, reply: Reply, stage: str = "", host: str = "") -> Account:
        """The same, with every line that matches, whether or not it may decide."""
        text, status = _without_addresses(reply.text[:_MAX_TEXT].lower()), f"{reply.code} {reply.enhanced}"
        own = self._own.matching(text) if self._own else ()
        lines = [
            line
            for line in (*own, *_SHIPPED.matching(text))
            if _applies(line, status, stage) and (not line.hosts or is_in(host, line.hosts))
        ]
        code_class, code_rule, _ = _by_code(reply.code, reply.enhanced, stage)
        verdict = self.classify(reply, stage, host)
        if reply.is_positive:
            return Account(verdict, (), verdict.reply_class, verdict.rule)
        return Account(verdict, tuple(dict.fromkeys(lines)), code_class, code_rule)

    def _judged(self, code: int, enhanced: str, text: str, stage: str, host: str) -> Verdict:
        words = _without_addresses(text)
        line = self._find_own(f"{code} {enhanced}", words, stage, host) if self._own else None
        if line is None:
            found, rule, is_vague = _by_code(code, enhanced, stage)
            line = _find(f"{code} {enhanced}", words, stage, is_vague)
        if line is not None:
            found, rule = line.reply_class, line.rule
        if stage in _BEFORE_RCPT and CLASSES[found].fault == "recipient":
            found = "policy"
        if code >= 500:
            return Verdict(found, True, rule, None)
        wait = retry_in(text)
        return Verdict(found, False, rule, line.delay if wait is None and line else wait)

    def _find_own(self, status: str, text: str, stage: str, host: str) -> Pattern | None:
        assert self._own is not None
        for line in self._own.matching(text):
            if _applies(line, status, stage) and (not line.hosts or is_in(host, line.hosts)):
                return line
        return None


def classify(reply: Reply, stage: str = "", host: str = "") -> Verdict:
    """By the lines that this process uses."""
    return _table.classify(reply, stage, host)


def table() -> Table:
    """What `classify` judges by now."""
    return _table


def use(own: tuple[Pattern, ...]) -> None:
    """From now on, in this process, in all its threads."""
    global _table
    if own != _table.own:
        _table = Table(own)


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


def _find(status: str, text: str, stage: str, is_vague: bool) -> Pattern | None:
    for line in _SHIPPED.matching(text):
        if (is_vague or line.sure) and _applies(line, status, stage):
            return line
    return None


def _without_addresses(text: str) -> str:
    """An address may spell a key word (virus@example.com): it is no evidence."""
    return " ".join([word for word in text.split() if "@" not in word]) if "@" in text else text


def _applies(line: Pattern, status: str, stage: str) -> bool:
    if line.stage and stage and line.stage != stage:
        return False
    return not line.codes or any(_matches(limit, status) for limit in line.codes)


def _matches(limit: str, status: str) -> bool:
    code, _, enhanced = limit.partition(" ")
    is_code, _, is_enhanced = status.partition(" ")
    return is_code.startswith(code) and (not enhanced or is_enhanced == enhanced)


_table = Table()

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
