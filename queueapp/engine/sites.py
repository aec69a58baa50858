"""A site in a runner's hands: what waits for it, how many sessions it has, how many it may have.

Mail of one site by one route and one pool of egress sources. Pure bookkeeping on the event loop; no I/O.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

from queueapp.engine.claim import Claimed
from queueapp.engine.limits import Pace, Share, in_hand
from queueapp.engine.routing import Plan
from queueapp.engine.sources import Pool
from queueapp.engine.trust import NONE, Trust

START_SESSIONS = 2
MAX_RECIPIENTS = 100
# How much work a site may have waiting here for each session it may open, or in seconds at its speed.
PREFETCH, AHEAD = 20, 1.0
Key = tuple[int, str, int]


@dataclass(slots=True)
class Group:
    """Deliveries of one message to one site: they share a transaction."""

    message_id: int
    sender: str
    priority: int
    rows: list[Claimed]
    n_restarts: int = 0
    trust: Trust = NONE
    lane: int = 0
    """The recipient domain where that has a rate of its own; else 0."""
    good_until: float = float("inf")
    """Until when what it took of a rate may be used; a monotonic time."""

    @property
    def is_new(self) -> bool:
        """No session failed it, and no rate gave it a slot: it may go with whatever is open."""
        return not self.n_restarts and not self.lane and self.good_until == float("inf")

    def split(self, n: int) -> Group:
        """Keep the first `n` deliveries; the rest as a group of its own."""
        rest = replace(self, rows=self.rows[n:], good_until=float("inf"))
        self.rows = self.rows[:n]
        return rest


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
    pool: Pool
    share: Share
    pace: Pace | None = None
    lanes: dict[int, Pace] = field(default_factory=dict)
    """The paces of recipient domains that have one."""
    limit: int = START_SESSIONS
    n_sessions: int = 0
    n_late: int = 0
    """Sessions that took so long to open that they wait for another slot of a rate."""
    n_waiting: int = 0
    n_unanswered: int = 0
    """Dots that got no answer since the last delivery."""
    queues: dict[int, dict[int, deque[Group]]] = field(default_factory=dict)
    """By priority and lane."""
    speed: Speed = field(default_factory=Speed)

    @property
    def key(self) -> Key:
        return self.plan.site_id, self.pool.key, self.plan.way

    def add(self, group: Group, *, first: bool = False) -> None:
        queue = self.queues.setdefault(group.priority, {}).setdefault(group.lane, deque())
        if first:
            queue.appendleft(group)
        else:
            queue.append(group)
        self.n_waiting += len(group.rows)

    def take(self, most: int = MAX_RECIPIENTS) -> Group | None:
        """The next group of the highest priority, as far as the rates allow one now."""
        now = time.monotonic() if self.pace or self.lanes else 0.0
        most = min(most, self.pace.ready(now)) if self.pace else most
        if most <= 0:
            return None
        for priority in sorted(self.queues, reverse=True):
            lanes = self.queues[priority]
            for lane in lanes:
                pace = self.lanes.get(lane)
                n = min(most, pace.ready(now)) if pace else most
                if n > 0:
                    return self._take_from(priority, lane, n, now)
        return None

    def _take_from(self, priority: int, lane: int, most: int, now: float) -> Group:
        lanes = self.queues[priority]
        queue = lanes[lane]
        group = queue.popleft()
        if len(group.rows) > most:
            queue.appendleft(group.split(most))
        n = len(group.rows)
        self.n_waiting -= n
        self.speed.count(n)
        # Lanes take turns: to the end with this one.
        del lanes[lane]
        if queue:
            lanes[lane] = queue
        elif not lanes:
            del self.queues[priority]
        group.good_until = min(
            (pace.use(n, now) for pace in (self.pace, self.lanes.get(lane)) if pace), default=float("inf")
        )
        return group

    def take_all(self, chosen: Callable[[Group], bool] = lambda group: True) -> list[Group]:
        """All groups that are chosen, out of the queues."""
        taken: list[Group] = []
        for lanes in self.queues.values():
            for lane, queue in lanes.items():
                some = [group for group in queue if chosen(group)]
                if some:
                    taken += some
                    lanes[lane] = deque(group for group in queue if not chosen(group))
        self.queues = {
            priority: kept
            for priority, lanes in self.queues.items()
            if (kept := {lane: queue for lane, queue in lanes.items() if queue})
        }
        self.n_waiting -= sum(len(group.rows) for group in taken)
        return taken

    def waiting_paces(self) -> list[tuple[Pace, int, int]]:
        """The paces that something waits for: (pace, lane or 0, how many deliveries)."""
        if not (self.pace or self.lanes):
            return []
        found = [(self.pace, 0, self.n_waiting)] if self.pace and self.n_waiting else []
        if self.lanes:
            n: dict[int, int] = {}
            for lanes in self.queues.values():
                for lane, queue in lanes.items():
                    n[lane] = n.get(lane, 0) + sum(len(group.rows) for group in queue)
            found += [(pace, lane, n[lane]) for lane, pace in self.lanes.items() if n.get(lane)]
        return found

    @property
    def is_ready(self) -> bool:
        """Whether the rates allow any of what waits to go now."""
        if not (self.pace or self.lanes):
            return self.n_waiting > 0
        now = time.monotonic()
        if self.pace and not self.pace.ready(now):
            return False
        lanes = {lane for some in self.queues.values() for lane in some}
        return any(lane not in self.lanes or self.lanes[lane].ready(now) for lane in lanes)

    def take_like(self, group: Group) -> list[Group]:
        """All that ask the same of a session as this one."""
        return self.take_all(lambda each: each.trust == group.trust)

    @property
    def wants_session(self) -> bool:
        return self.n_waiting > 0 and self.n_sessions < self.limit and self.is_ready

    @property
    def is_full(self) -> bool:
        """By its sessions and by its speed: a slow site must not fill the runner's hands, and a fast one
        must not wait for the next claim."""
        most = max(PREFETCH * self.limit, AHEAD * self.speed.per_second)
        if self.pace:
            most = min(most, in_hand(self.pace.rate))
        return self.n_waiting >= most

    def went_well(self) -> None:
        self.limit = min(self.limit + 1, max(self.share.limit, 1))

    def went_badly(self) -> None:
        """The receiver takes no more sessions: stay below what there is now."""
        self.limit = max(1, self.n_sessions - 1)


def groups_of(rows: list[Claimed], lanes: dict[int, Pace] | None = None) -> list[Group]:
    """Rows of one site by message, at most MAX_RECIPIENTS each (RFC 5321 4.5.3.1.8 promises 100); those
    of a domain with a rate of its own apart."""
    by_message: dict[Hashable, Group] = {}
    done: list[Group] = []
    for row in rows:
        lane = row.domain_id if lanes and row.domain_id in lanes else 0
        group = by_message.get((row.message_id, lane))
        if group is None or len(group.rows) >= MAX_RECIPIENTS:
            group = Group(row.message_id, row.sender, row.priority, [], lane=lane)
            by_message[row.message_id, lane] = group
            done.append(group)
        group.rows.append(row)
    return done
