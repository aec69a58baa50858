"""A site in a runner's hands: what waits for it, how many sessions it has, how many it may have.

Pure bookkeeping on the event loop; no I/O.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from queueapp.engine.claim import Claimed
from queueapp.engine.routing import Plan
from queueapp.engine.trust import NONE, Trust

START_SESSIONS = 2
MAX_RECIPIENTS = 100
# How much work a site may have waiting here for each session it may open, or in seconds at its speed.
PREFETCH, AHEAD = 20, 1.0


@dataclass(slots=True)
class Group:
    """Deliveries of one message to one site: they share a transaction."""

    message_id: int
    sender: str
    priority: int
    rows: list[Claimed]
    n_restarts: int = 0
    trust: Trust = NONE


@dataclass(slots=True)
class Speed:
    """Deliveries a second, over the last half second or so."""

    per_second: float = 0.0
    _since: float = field(default_factory=time.monotonic)
    _n: int = 0

    def count(self, n: int) -> None:
        self._n += n
        elapsed = time.monotonic() - self._since
        if elapsed > 0.25:
            self.per_second = (self.per_second + self._n / elapsed) / 2
            self._since, self._n = time.monotonic(), 0


@dataclass(slots=True)
class SiteWork:
    plan: Plan
    limit: int = START_SESSIONS
    n_sessions: int = 0
    n_waiting: int = 0
    n_unanswered: int = 0
    """Dots that got no answer since the last delivery."""
    queues: dict[int, deque[Group]] = field(default_factory=dict)
    speed: Speed = field(default_factory=Speed)

    def add(self, group: Group, *, first: bool = False) -> None:
        queue = self.queues.setdefault(group.priority, deque())
        if first:
            queue.appendleft(group)
        else:
            queue.append(group)
        self.n_waiting += len(group.rows)

    def take(self) -> Group | None:
        """The next group of the highest priority."""
        for priority in sorted(self.queues, reverse=True):
            queue = self.queues[priority]
            if queue:
                group = queue.popleft()
                self.n_waiting -= len(group.rows)
                self.speed.count(len(group.rows))
                return group
        return None

    def take_all(self) -> list[Group]:
        groups = [group for queue in self.queues.values() for group in queue]
        self.queues.clear()
        self.n_waiting = 0
        return groups

    def take_like(self, group: Group) -> list[Group]:
        """All that ask the same of a session as this one."""
        taken = []
        for priority, queue in self.queues.items():
            like = [each for each in queue if each.trust == group.trust]
            if like:
                self.queues[priority] = deque(each for each in queue if each.trust != group.trust)
                taken += like
        self.n_waiting -= sum(len(each.rows) for each in taken)
        return taken

    @property
    def wants_session(self) -> bool:
        return self.n_waiting > 0 and self.n_sessions < self.limit

    @property
    def is_full(self) -> bool:
        """By its sessions and by its speed: a slow site must not fill the runner's hands, and a fast one
        must not wait for the next claim."""
        return self.n_waiting >= max(PREFETCH * self.limit, AHEAD * self.speed.per_second)

    def went_well(self) -> None:
        self.limit = min(self.limit + 1, max(self.plan.max_sessions, 1))

    def went_badly(self) -> None:
        """The receiver takes no more sessions: stay below what there is now."""
        self.limit = max(1, self.n_sessions - 1)


def groups_of(rows: list[Claimed]) -> list[Group]:
    """Rows of one site by message, at most MAX_RECIPIENTS each (RFC 5321 4.5.3.1.8 promises 100)."""
    by_message: dict[int, Group] = {}
    done: list[Group] = []
    for row in rows:
        group = by_message.get(row.message_id)
        if group is None or len(group.rows) >= MAX_RECIPIENTS:
            group = Group(row.message_id, row.sender, row.priority, [])
            by_message[row.message_id] = group
            done.append(group)
        group.rows.append(row)
    return done
