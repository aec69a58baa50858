"""From what a site's mail needs to sessions that send it: share, rate, pool of sources, line.

Each site of the runner's hands gets sessions while it wants them, its share of the receiver's
sessions has room (allowance), its rate has slots (limits), one of its pool's sources may be used
(sources), and the runner has sessions left. What lacks one of these is looked at again when that
comes, and never polled; what has to wait long goes back to the queue, or is set aside with the cause.

Promises: no session without a place in the share, no mail without a slot of its rate. All of it
runs on the runner's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from django.db import DatabaseError
from django.utils import timezone

from queueapp.engine import pacing
from queueapp.engine.allowance import Allowance
from queueapp.engine.claim import Claimed
from queueapp.engine.delivering import Door, deliver
from queueapp.engine.hands import Hands
from queueapp.engine.journal import Journal
from queueapp.engine.limits import Pace
from queueapp.engine.outcome import Result
from queueapp.engine.routing import Router
from queueapp.engine.rules.watching import Watch
from queueapp.engine.session_pool import SessionPool
from queueapp.engine.sites import MAX_RECIPIENTS, Group, Key, SiteWork
from queueapp.engine.sources import DEFAULT, Block, Book, choose
from queueapp.engine.warmup import Warmups
from queueapp.transports.base import Outcome

# Seconds that mail waits here for a session while others hold all; then how long it is left to them.
PATIENCE, LEFT_ALONE = 2.0, 5.0
# Mail whose next slot is farther away than this waits in the queue.
AWAY = 2.0
# Groups by one source before the next choice among several.
_TURN = 10
T = TypeVar("T")
log = logging.getLogger(__name__)


class Staffing:
    """The part of a runner that opens sessions (engine/runner.py has the rest)."""

    hands: Hands
    journal: Journal
    router: Router
    pool: SessionPool
    allowance: Allowance
    warmups: Warmups
    watch: Watch
    wake: asyncio.Event
    stopping: bool

    def __init__(self) -> None:
        self.sites: dict[Key, SiteWork] = {}
        self.book = Book()
        self._pools_of: dict[int, dict[Key, SiteWork]] = {}
        self._in_line: dict[Key, SiteWork] = {}
        """Sites that may open a session when the runner has one left."""
        self._closed: dict[int, float] = {}
        """Sites that nothing is claimed for, until when: others send to them, or their rate is used up."""
        self._alarms: dict[Key, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def in_db(self, function: Callable[[], T]) -> T:
        """Run a database function where the database may be used."""
        raise NotImplementedError

    def passed_over(self) -> set[int]:
        """Sites that nothing is to be claimed for now."""
        now = time.monotonic()
        self._closed = {site_id: until for site_id, until in self._closed.items() if until > now}
        return {site.plan.site_id for site in self.sites.values() if site.is_full} | self._closed.keys()

    def staff(self, site: SiteWork) -> None:
        """Open sessions for a site while it wants them, may have them, and the runner has some left."""
        while site.wants_session and not self.stopping:
            if self.pool.n_busy + self.allowance.n_asked >= self.pool.size:
                self._in_line[site.key] = site
                break
            door = self._door(site)
            if door is None:
                break
            group = self._take(site, door)
            if group is None:
                if door.session:
                    self.pool.put(door.key, door.session, site.share)
                break
            site.n_sessions += 1
            site.share.n_busy += 1
            self.pool.n_busy += 1
            self._spawn(deliver(self, site, door, group))
        if site.n_waiting and not self.stopping:
            self.ask_slots(site)

    def asked(self) -> None:
        """Those in line may ask in their turn."""
        while self._in_line and self.pool.n_busy + self.allowance.n_asked < self.pool.size:
            key = next(iter(self._in_line))
            site = self._in_line.pop(key)
            if self.sites.get(key) is site:
                self.staff(site)

    def drop_site(self, site: SiteWork) -> None:
        if self.sites.get(site.key) is site:
            del self.sites[site.key]
            pools = self._pools_of[site.plan.site_id]
            del pools[site.key]
            if not pools:
                del self._pools_of[site.plan.site_id]

    def _door(self, site: SiteWork) -> Door | None:
        """A kept session, or a place for a new one; None: there is none now, and it is asked for."""
        site_id, share = site.plan.site_id, site.share
        if stop := self.book.stop(site_id):
            self._closed_by_rule(site, stop)
            return None
        found = self.book.usable(site.pool, site_id, self.warmups.left)
        if self.warmups.has_asked:
            self._spawn(self.warmups.fetch())
            if any(self.warmups.is_pending(source.pk, site_id) for source, _ in site.pool.members):
                return None
        if not found:
            self._no_source(site)
            return None
        door = Door(choose(found), site.plan)
        door.session = self.pool.take(door.key, share)
        if door.session or share.has_room:
            return door
        for source, _ in found:
            door = Door(source, site.plan)
            door.session = self.pool.take(door.key, share)
            if door.session:
                return door
        self.allowance.ask(share, share.n_open + min(site.n_waiting, max(1, site.limit - site.n_sessions)))
        return None

    def is_warming(self, door: Door) -> bool:
        """Whether the source's mails are counted, since it has a daily cap."""
        return door.source is not DEFAULT and door.source.daily_cap(timezone.now().date()) is not None

    def _take(self, site: SiteWork, door: Door) -> Group | None:
        """A group for this session, no larger than its source's warm-up allows."""
        if not self.is_warming(door):
            return site.take()
        site_id = site.plan.site_id
        group = site.take(min(MAX_RECIPIENTS, self.warmups.left(door.source.pk, site_id)))
        if group:
            self.warmups.use(door.source.pk, site_id, len(group.rows))
        return group

    def fit(self, site: SiteWork, door: Door, n: int, families: set[int]) -> None:
        """Another source where this one's family is none of the receiver's; `n` mails go with it."""
        if not families or not door.source.family or door.source.family in families:
            return
        found = self.book.usable(site.pool, site.plan.site_id, self.warmups.left, families)
        today, site_id = timezone.now().date(), site.plan.site_id
        found = [each for each in found if each[0].daily_cap(today) is None
                 or self.warmups.left(each[0].pk, site_id) >= n]  # fmt: skip
        if found:
            if door.source.daily_cap(today) is not None:
                self.warmups.use(door.source.pk, site_id, -n)
            door.source = choose(found)
            if door.source.daily_cap(today) is not None:
                self.warmups.use(door.source.pk, site_id, n)

    def next_group(self, site: SiteWork, door: Door, n_groups: int) -> Group | None:
        """More for a session that has just sent; None where it should end or do something else first."""
        if self.stopping or site.share.is_over or self._must_yield(site) or self.book.stop(site.plan.site_id):
            return None
        found = self.book.usable(site.pool, site.plan.site_id, self.warmups.left)
        if all(source.pk != door.source.pk for source, _ in found):
            return None
        if len(found) > 1 and n_groups >= _TURN:
            # Sources of a pool share the mail by their weights, not by who came first.
            return None
        return self._take(site, door)

    def _must_yield(self, site: SiteWork) -> bool:
        """Mail of the same site by another pool or route waits and has no session: they share the limit."""
        others = self._pools_of.get(site.plan.site_id, {})
        if len(others) < 2 or site.share.has_room:
            return False
        return any(
            each is not site and each.wants_session and not each.n_sessions for each in others.values()
        )

    def _no_source(self, site: SiteWork) -> None:
        """No source may be used: the mail is left to another machine, or set aside with the cause."""
        if self.book.is_elsewhere(site.pool, site.plan.site_id):
            self._leave_to_others(site)
            return
        rest = [row for group in site.take_all() for row in group.rows]
        if rest:
            outcome, until = self.book.why_none(site.pool, site.plan.site_id, site.plan.site_name)
            self.set_aside(rest, outcome, until)

    def _closed_by_rule(self, site: SiteWork, stop: Block) -> None:
        """A rule has suspended the whole site."""
        rest = [row for group in site.take_all() for row in group.rows]
        if rest:
            name = site.plan.site_name
            outcome = Outcome("deferred", stop.reply_class, text=stop.reply, host=name, rule="effect")
            self.set_aside(rest, outcome, stop.until)

    # Limits

    def share_changed(self, site_id: int) -> None:
        """The site may have more sessions, or must have fewer."""
        for site in list(self._pools_of.get(site_id, {}).values()):
            share = site.share
            if share.is_over:
                self.pool.end_idle(share)
            if not self.stopping:
                self.staff(site)
                hungry = share.hungry_since
                if site.n_waiting and not share.n_open and hungry and time.monotonic() - hungry > PATIENCE:
                    self._leave_to_others(site)

    def _leave_to_others(self, site: SiteWork) -> None:
        """Other runners hold all sessions of the site: its mail goes back, for them to take."""
        site_id = site.plan.site_id
        self._closed[site_id] = time.monotonic() + LEFT_ALONE
        site.share.hungry_since = None
        self._give_back(site.take_all())

    def _give_back(self, groups: list[Group]) -> None:
        rows = [row for group in groups for row in group.rows]
        if rows:
            self._spawn(self.hands.give_back(rows))

    def pace_changed(self, key: str) -> None:
        """Slots have come, or there are none for now."""
        pace = self.allowance.paces.get(key)
        if pace and pace.next_at - time.monotonic() > AWAY:
            # Also where nothing waits here: others must not claim, whatever Redis remembers.
            self._spawn(self._put_off_now(pace, []))
        for site in list(self.sites.values()):
            if any(pace.key == key for pace, _, _ in site.waiting_paces()):
                self.staff(site)

    def ask_slots(self, site: SiteWork) -> None:
        """Take care that a site with rates is looked at when its next slot comes."""
        now, soonest = time.monotonic(), float("inf")
        for pace, lane, n in site.waiting_paces():
            self.allowance.ask_slots(pace, n)
            slot = pace.next_slot(now)
            if slot is None and pace.next_at - now > AWAY and not site.n_late:
                groups = site.take_all(lambda group, lane=lane: not lane or group.lane == lane)  # type: ignore[misc]
                self._spawn(self._put_off_now(pace, groups))
            elif slot is not None and slot > now:
                soonest = min(soonest, slot)
            elif slot is None and not pace.is_asking:
                soonest = min(soonest, pace.next_at)
        if soonest < float("inf"):
            alarm = self._alarms.pop(site.key, None)
            if alarm:
                alarm.cancel()
            wait = max(soonest - now, 0.005)
            self._alarms[site.key] = asyncio.get_running_loop().call_later(wait, self._alarm, site)

    def _alarm(self, site: SiteWork) -> None:
        self._alarms.pop(site.key, None)
        if self.sites.get(site.key) is site:
            self.staff(site)

    async def _put_off_now(self, pace: Pace, groups: list[Group]) -> None:
        """The next slot is far away: the mail waits in the queue, and nobody claims it before."""
        wait, pk = pace.next_at - time.monotonic(), int(pace.key[1:])
        until = timezone.now() + timedelta(seconds=wait)
        kind = "domain"
        if pace.key.startswith("s"):
            kind = "site"
            self._closed[pk] = time.monotonic() + wait
        asyncio.get_running_loop().call_later(wait, self.wake.set)
        try:
            await self.in_db(partial(pacing.put_off, kind, pk, until))
        except DatabaseError as error:
            log.warning("the next time of %s %d is not stored: %s", kind, pk, error)
        rows = [row for group in groups for row in group.rows]
        if rows:
            await self.hands.give_back(rows)

    def session_ended(self, site: SiteWork) -> None:
        site.n_sessions -= 1
        site.share.n_busy -= 1
        self.pool.n_busy -= 1
        if self.stopping:
            return
        self.staff(site)
        self.asked()
        if not site.n_sessions and not site.n_waiting:
            self.drop_site(site)
        self.wake.set()

    def spread(self, until: datetime) -> datetime:
        """Some time after `until`, so that not everything comes back at once."""
        wait = (until - timezone.now()).total_seconds()
        return until + timedelta(seconds=random.uniform(0, max(10.0, wait / 2)))

    def set_aside(self, rows: list[Claimed], outcome_: Outcome, until: datetime) -> None:
        """Their way is closed for a while: deferred with its cause, and spread over a while after its end."""
        now = timezone.now()
        self.hands.settle(
            [Result(row, outcome_, now, is_try=False, not_before=self.spread(until)) for row in rows]
        )

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("a session failed in a way nobody foresaw", exc_info=task.exception())
