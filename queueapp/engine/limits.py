"""Limits of a site as a runner keeps to them: a share of its sessions, and a pace for its mails.

Pure accounting, no I/O: what may be had is asked of all runners together in engine/allowance.py.
Times are those of a monotonic clock, in seconds.

A pace is a row of slots, one a mail, evenly spaced. A slot that was not used within its grace is
forfeited, and slots are spaced so that even the latest use of each keeps any stretch of the rate's
time within its number: there is no burst to make up for mails that did not go.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from queueapp.conf import Rate

# How far ahead of its time a slot may be taken: a block of a fast rate, one slot of a slow one.
AHEAD = 0.5
# What a runner keeps in its hands of a site with a rate: no more than goes in this time.
IN_HAND = 5.0
_MOST_GRACE = 60.0
_MOST_BLOCK = 1000


@dataclass(slots=True)
class Share:
    """A site's sessions in one runner: how many it may have, and what they do."""

    site_id: int
    limit: int
    """Of all runners together."""
    max_mails: int
    granted: int = 0
    n_busy: int = 0
    n_kept: int = 0
    """Open without a task: they idle, or are about to end."""
    wanted: int = 0
    hungry_since: float | None = None
    is_told: bool = False
    """The others know that nothing is open here, and nothing wanted."""

    @property
    def n_open(self) -> int:
        return self.n_busy + self.n_kept

    @property
    def has_room(self) -> bool:
        return self.n_open < self.granted

    @property
    def is_over(self) -> bool:
        """Others want their part, or the limit was lowered: the next session that can, ends."""
        return self.n_open > self.granted

    @property
    def want(self) -> int:
        return min(max(self.wanted, self.n_open), self.limit)


def grace_of(rate: Rate) -> float:
    """How late a slot may be used."""
    return min(rate.per / 20, _MOST_GRACE)


def interval_of(rate: Rate) -> float:
    """Between slots, so that in no `per` seconds more than `n` are used, each at most its grace late."""
    return (rate.per + grace_of(rate)) / rate.n


def in_hand(rate: Rate) -> int:
    """How many mails of this rate a runner may hold."""
    return max(1, int(rate.n / rate.per * IN_HAND))


@dataclass(slots=True)
class Block:
    start: float
    n: int


@dataclass(slots=True)
class Pace:
    """The slots that a runner holds of one rate. `key` names the rate among all runners."""

    key: str
    rate: Rate
    blocks: deque[Block] = field(default_factory=deque)
    next_at: float = 0.0
    """When asking for more makes sense again."""
    is_asking: bool = False
    _block: int = 1

    def ready(self, now: float) -> int:
        """Mails that may go at once."""
        self._forfeit(now)
        interval = interval_of(self.rate)
        return sum(min(each.n, int((now - each.start) / interval) + 1)
                   for each in self.blocks if each.start <= now)  # fmt: skip

    def use(self, n: int, now: float) -> float:
        """Take `n` of the ready slots; returns until when they may be used."""
        interval, until = interval_of(self.rate), float("inf")
        while n:
            block = self.blocks[0]
            until = min(until, block.start + grace_of(self.rate))
            some = min(n, block.n)
            n -= some
            self._advance(block, some, interval)
        return until

    def next_slot(self, now: float) -> float | None:
        """When the next slot that is held comes; None where none is held."""
        self._forfeit(now)
        return self.blocks[0].start if self.blocks else None

    def ask(self, n_waiting: int, now: float) -> int:
        """How many slots to ask for: those that are used, twice as many where all were; 0: not now."""
        if self.is_asking or now < self.next_at or n_waiting <= 0:
            return 0
        held = sum(each.n for each in self.blocks)
        if held * 2 > self._block:
            return 0
        return min(n_waiting, max(1, self._block - held))

    def got(self, n: int, wanted: int, start: float, wait: float, now: float) -> None:
        """The answer: `n` slots from `start` on, or none for `wait` seconds."""
        self.is_asking = False
        if n:
            self.blocks.append(Block(start, n))
            if n == wanted:
                self._block = min(self._block * 2, _MOST_BLOCK)
        self.next_at = now + max(wait, 0.0)

    def _forfeit(self, now: float) -> None:
        interval, grace = interval_of(self.rate), grace_of(self.rate)
        while self.blocks and (late := now - grace - self.blocks[0].start) > 0:
            n = min(self.blocks[0].n, int(late / interval) + 1)
            self._block = max(1, self._block - n)
            self._advance(self.blocks[0], n, interval)

    def _advance(self, block: Block, n: int, interval: float) -> None:
        block.start += n * interval
        block.n -= n
        if not block.n:
            self.blocks.popleft()
