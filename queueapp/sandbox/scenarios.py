"""How the sandbox misbehaves: the recipient's address decides (CONTRACT.md "Sandbox scenarios").

The word stands in the local part, alone or after a `+` (`anna+defer@…`), or it is the domain's last
label before `.test` (`defer.test`, `a.defer.test`). The local part wins over the domain. An explicit
reply is a word too: `reply-451-4.7.1`, or `reply-451` without an enhanced code. An unknown word is
no scenario: the mail is taken.

Where these differ from the letter of the contract, because the recipient isn't known earlier:
- `busy` is "421 on connect": here it is 421 4.3.2 to RCPT, and the connection closes.
- `spam` and `big` refuse at the dot, as receivers do, when theirs is the mail's only recipient, and
  at RCPT when another recipient was accepted before; `drop` also wants to be alone. A recipient
  that would join one of these three is told 452 4.5.3, so that nobody else's fate is decided.

`decide` is a pure function of its arguments and of `Memory`, which greylisting and throttling need;
that is bounded, and forgotten with the process.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from queueapp.transports.smtp.server import Reply

Stage = Literal["rcpt", "dot"]
_MAX_REMEMBERED = 100_000

_REPLIES = {
    "defer": Reply(451, "4.3.0", "Mail system has a temporary problem, try again later"),
    "full": Reply(452, "4.2.2", "The mailbox is full"),
    "nouser": Reply(550, "5.1.1", "No such user here"),
    "spam": Reply(550, "5.7.1", "Message rejected as spam by content filtering"),
    "big": Reply(552, "5.3.4", "Message size exceeds the fixed limit of this mailbox"),
    "tlsfail": Reply(454, "4.7.0", "TLS not available due to a temporary reason"),
    "busy": Reply(421, "4.3.2", "Too many concurrent connections, try again later"),
}
_AT_DOT = ("spam", "big", "drop")
WORDS = frozenset((*_REPLIES, "ok", "greylist", "throttle", "slow", "drop", "blocked"))
_EXPLICIT = re.compile(r"reply-([245]\d\d)(?:-([245]\.\d{1,3}\.\d{1,3}))?\Z")
_ALONE = Reply(452, "4.5.3", "Too many recipients, send this one in a transaction of its own")


@dataclass(frozen=True, slots=True)
class Decision:
    """`reply` None: taken. At stage "dot" the recipient is accepted first, and the reply waits."""

    scenario: str = ""
    reply: Reply | None = None
    stage: Stage = "rcpt"


@dataclass(frozen=True, slots=True)
class Rules:
    """Seconds and counts of the scenarios that have some."""

    greylist_for: float = 60.0
    throttle_n: int = 5
    throttle_for: float = 60.0
    slow_for: float = 20.0


class Memory:
    """First sight of greylisted triplets, and how much each throttled domain got."""

    def __init__(self, limit: int = _MAX_REMEMBERED) -> None:
        self._limit = limit
        self._seen: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        self._got: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def first_seen(self, triplet: tuple[str, str, str], now: float) -> float:
        at = self._seen.setdefault(triplet, now)
        if len(self._seen) > self._limit:
            self._seen.popitem(last=False)
        return at

    def count(self, domain: str, now: float, window: float) -> tuple[float, int]:
        """Start of the domain's window and which mail in it this one is."""
        start, n = self._got.pop(domain, (now, 0))
        if now - start >= window:
            start, n = now, 0
        self._got[domain] = (start, n + 1)
        if len(self._got) > self._limit:
            self._got.popitem(last=False)
        return start, n + 1


def word_of(recipient: str) -> str:
    """The scenario that the address asks for, or ""."""
    local, _, domain = recipient.rpartition("@") if "@" in recipient else (recipient, "", "")
    local, domain = local.strip('"').lower(), domain.rstrip(".").lower()
    for word in (local, *local.split("+")[1:]):
        if word in WORDS or _EXPLICIT.match(word):
            return word
    labels = domain.split(".")
    if len(labels) > 1 and labels[-1] == "test" and (labels[-2] in WORDS or _EXPLICIT.match(labels[-2])):
        return labels[-2]
    return ""


def decide(
    recipient: str,
    *,
    now: float,
    memory: Memory,
    rules: Rules = Rules(),  # noqa: B008 - frozen
    client: str = "",
    sender: str = "",
    first: str | None = None,
) -> Decision:
    """What becomes of one recipient. `first`: scenario of the transaction's first accepted one."""
    word = word_of(recipient)
    if first in _AT_DOT:
        return Decision(word, _ALONE)
    if word in _AT_DOT:
        return _at_dot(word, is_alone=first is None)
    if word == "greylist":
        wait = memory.first_seen((client, sender.lower(), recipient.lower()), now) + rules.greylist_for - now
        reply = Reply(450, "4.7.1", f"Greylisted, try again in {_seconds(wait)} seconds")
        return Decision(word, reply if wait > 0 else None)
    if word == "throttle":
        return Decision(word, _throttled(recipient, now, memory, rules))
    if word == "blocked":
        where = f"Client host [{client}] blocked using bl.sandbox.test; see https://bl.sandbox.test/"
        return Decision(word, Reply(554, "5.7.1", f"Service unavailable; {where}"))
    if word == "slow":
        return Decision(word, None, "dot")
    return Decision(word, _REPLIES.get(word) or _explicit(word))


def _at_dot(word: str, *, is_alone: bool) -> Decision:
    if is_alone:
        return Decision(word, _REPLIES.get(word), "dot")
    return Decision(word, _REPLIES.get(word, _ALONE))


def _throttled(recipient: str, now: float, memory: Memory, rules: Rules) -> Reply | None:
    domain = recipient.rpartition("@")[2].lower()
    start, n = memory.count(domain, now, rules.throttle_for)
    if n <= rules.throttle_n:
        return None
    wait = _seconds(start + rules.throttle_for - now)
    return Reply(421, "4.7.0", f"More than {rules.throttle_n} mails a minute, try again in {wait} seconds")


def _explicit(word: str) -> Reply | None:
    match = _EXPLICIT.match(word)
    if not match or match[1].startswith("2"):
        return None
    return Reply(int(match[1]), match[2] or "", "The reply that was asked for")


def _seconds(wait: float) -> int:
    return max(1, int(wait + 0.999))
