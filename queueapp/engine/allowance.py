"""What this runner may use of each receiver's limits: it asks for all its sites at once, and renews.

Sessions are granted for as long as this runner lives, and counted as used while they are granted,
idle ones included. They are asked for when a site wants more, and told anew each second: what is
not used goes back, and where another runner has too little, more than an equal part does as well.
Slots of a rate are asked for in blocks (engine/limits.py).

Promises: nothing is opened or sent that was not granted before. Where Redis is away, sessions are
shared through the database (engine/holdings.py), and sites and domains with a rate pause. A runner
that has not seen the database for a while takes nothing new: others may count it as dead.
Failure: what can't be had is asked for again a second later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Protocol

from django.db import DatabaseError
from redis.exceptions import RedisError

from queueapp.conf import Rate
from queueapp.engine import holdings, own_lines
from queueapp.engine.limits import Pace, Share, interval_of
from queueapp.engine.tokens import Tokens
from queueapp.models import revision

BEAT = 1.0
_WATCH = 2.0
# Less than a lease by far: before others may take this runner for dead.
_BLIND = 20.0
log = logging.getLogger(__name__)


class Asker(Protocol):
    """The runner, as it is told of changes."""

    def share_changed(self, site_id: int) -> None: ...

    def pace_changed(self, key: str) -> None: ...

    async def limits_changed(self) -> None: ...

    async def sources_changed(self) -> None: ...

    def asked(self) -> None: ...


class Allowance:
    """`in_db` runs a function where the database may be used."""

    def __init__(
        self, runner_id: int, in_db: Callable[[Callable[[], Any]], Awaitable[Any]], asker: Asker
    ) -> None:
        self.runner_id, self._in_db, self._asker = runner_id, in_db, asker
        self.shares: dict[int, Share] = {}
        self.paces: dict[str, Pace] = {}
        self.revisions: dict[str, int] | None = None
        self._tokens = Tokens(runner_id)
        self._by_redis = False
        self._asked: set[int] = set()
        self._slots: dict[str, int] = {}
        self._again: dict[int, float] = {}
        """Site to when it may be asked about before the next beat."""
        self._event = asyncio.Event()
        self._seen_db = time.monotonic()
        self._join_at = 0.0

    # What the runner asks

    def share(self, site_id: int, limit: int, max_mails: int) -> Share:
        share = self.shares.get(site_id)
        if share is None:
            share = self.shares[site_id] = Share(site_id, limit, max_mails)
        share.limit, share.max_mails = limit, max_mails
        return share

    def pace(self, key: str, rate: Rate | None) -> Pace | None:
        if rate is None:
            self.paces.pop(key, None)
            return None
        pace = self.paces.get(key)
        if pace is None or pace.rate != rate:
            pace = self.paces[key] = Pace(key, rate)
        return pace

    def ask(self, share: Share, n: int) -> None:
        """The site could use `n` sessions."""
        share.wanted = max(share.wanted, n)
        share.is_told = False
        if share.site_id not in self._asked and time.monotonic() >= self._again.get(share.site_id, 0):
            self._asked.add(share.site_id)
            self._event.set()

    @property
    def n_asked(self) -> int:
        """Sites that are asked for next."""
        return len(self._asked)

    def ask_slots(self, pace: Pace, n_waiting: int) -> None:
        n = pace.ask(n_waiting, time.monotonic())
        if n:
            pace.is_asking = True
            self._slots[pace.key] = n
            self._event.set()

    # The loop

    async def run(self) -> None:
        """Until cancelled."""
        next_beat = next_watch = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                # Not wait_for: in Python 3.11 it can swallow the cancellation that ends this loop.
                async with asyncio.timeout(max(0.01, next_beat - time.monotonic())):
                    await self._event.wait()
            self._event.clear()
            now = time.monotonic()
            try:
                if now >= next_watch:
                    next_watch = now + _WATCH
                    await self._watch()
                if is_beat := now >= next_beat:
                    next_beat = now + BEAT
                await self._exchange(is_beat=is_beat)
                self._asker.asked()
            except Exception:
                # A loop that ends in silence would leave every site without sessions.
                log.exception("limits were not renewed")
                await asyncio.sleep(BEAT)

    async def close(self) -> None:
        with contextlib.suppress(RedisError, OSError, RuntimeError):
            await self._tokens.close()

    async def _watch(self) -> None:
        """See who can't reach Redis, and whether somebody changed a limit."""
        try:
            numbers, holds = await self._in_db(partial(holdings.watch, self.runner_id))
            self._seen_db = time.monotonic()
            if holds and self._by_redis:
                await self._tokens.tell(holds)
            before, self.revisions = self.revisions, numbers
            if before is None or before.get(revision.REPLY_RULES) != numbers.get(revision.REPLY_RULES):
                await self._in_db(own_lines.load)
            if before is None or before.get(revision.LIMITS) != numbers.get(revision.LIMITS):
                await self._asker.limits_changed()
            elif before != numbers:
                await self._asker.sources_changed()
        except DatabaseError as error:
            self.revisions = None
            log.warning("limits are not looked at: %s", error)
        except RedisError as error:
            self._redis_failed(error)

    async def _exchange(self, *, is_beat: bool) -> None:
        asked, self._asked = self._asked, set()
        slots, self._slots = self._slots, {}
        try:
            if not self._by_redis:
                await self._join()
            wants = self._wants(self.shares if is_beat else asked)
            await self._by_tokens(wants, slots, is_beat=is_beat)
        except (RedisError, OSError) as error:
            self._redis_failed(error)
            self._no_slots(slots)
            await self._by_rows(self._wants(self.shares))
        except DatabaseError as error:
            log.warning("no sessions are granted: %s", error)
            self._no_slots(slots)

    def _wants(self, site_ids: Iterable[int]) -> dict[int, tuple[int, int, int]]:
        wants = {}
        for site_id in site_ids:
            share = self.shares[site_id]
            if share.is_told and not share.n_open:
                continue
            want = share.want
            share.granted = min(share.granted, want)
            # What is granted may be opened while we ask.
            have = max(share.n_open, share.granted)
            if time.monotonic() - self._seen_db > _BLIND:
                want = have
            wants[site_id] = (have, want, share.limit)
        return wants

    async def _by_tokens(
        self, wants: dict[int, tuple[int, int, int]], slots: dict[str, int], *, is_beat: bool
    ) -> None:
        if wants or is_beat:
            self._grant(wants, await self._tokens.share(wants), is_beat=is_beat)
        paces = [(self.paces[key], n) for key, n in slots.items() if key in self.paces]
        if paces:
            found = await self._tokens.take([(pace.key, interval_of(pace.rate), n) for pace, n in paces])
            now = time.monotonic()
            for (pace, wanted), (n, start, wait) in zip(paces, found, strict=True):
                pace.got(n, wanted, now + start, wait, now)
                self._asker.pace_changed(pace.key)

    async def _by_rows(self, wants: dict[int, tuple[int, int, int]]) -> None:
        try:
            totals = await self._in_db(partial(holdings.grow, self.runner_id, wants))
        except DatabaseError as error:
            log.warning("no sessions are granted: %s", error)
            totals = None
        self._grant(wants, {} if totals is None else totals, is_beat=True)

    def _grant(
        self, wants: dict[int, tuple[int, int, int]], totals: dict[int, int], *, is_beat: bool
    ) -> None:
        now = time.monotonic()
        for site_id, (have, want, _) in wants.items():
            share = self.shares[site_id]
            share.granted = totals.get(site_id, min(share.granted, have))
            if share.granted >= min(want, share.limit):
                share.hungry_since = None
            else:
                share.hungry_since = share.hungry_since or now
                self._again[site_id] = now + BEAT
            if is_beat:
                share.wanted = 0
                share.is_told = not (have or want)
            self._asker.share_changed(site_id)

    def _no_slots(self, slots: dict[str, int]) -> None:
        now = time.monotonic()
        for key in slots:
            if pace := self.paces.get(key):
                pace.got(0, 1, 0, BEAT, now)
                self._asker.pace_changed(key)

    async def _join(self) -> None:
        """Share through Redis (again). Raises RedisError or DatabaseError."""
        if time.monotonic() < self._join_at:
            raise RedisError("Redis was away a moment ago")
        self._join_at = time.monotonic() + BEAT / 2
        # Not with rows locked: it may hang.
        await self._tokens.ping()
        mine = {pk: max(each.n_open, each.granted) for pk, each in self.shares.items()}
        mine = {pk: n for pk, n in mine.items() if n}
        self._tokens.epoch = await self._in_db(partial(holdings.to_redis, self.runner_id, mine))
        self._seen_db = time.monotonic()
        self._by_redis = True

    def _redis_failed(self, error: Exception) -> None:
        if self._by_redis:
            log.warning("sessions are shared through the database: %s", error)
        self._by_redis = False
