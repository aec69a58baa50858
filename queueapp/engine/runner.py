"""The queue runner: one RQ job, one event loop, many SMTP sessions over all sites with due mail.

It claims due deliveries (claim), finds their way (routing), delivers them over kept sessions
(session_pool, delivering), and hands what came of it to the outcome writer (outcome). It runs
for up to a minute, ends sooner when nothing is due, and its job is enqueued anew while work
remains (workers/jobs.py).

Promises: what it claimed is recorded, given back, or left to the reaper under its token. On
SIGTERM it lets sessions finish the transaction they are in, gives the rest back and ends.
Failure: when the database is away, outcomes wait in memory and in the journal and are written
when it is back; when the lease is lost, everything is dropped, for somebody else owns it now.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.utils import timezone

from queueapp import conf
from queueapp.engine import journal, lease, own_lines
from queueapp.engine.allowance import Allowance
from queueapp.engine.assigning import Assigning
from queueapp.engine.claim import Claimed, claim, has_claims
from queueapp.engine.hands import MAX_HELD, Hands
from queueapp.engine.outcome import Result
from queueapp.engine.pulse import beat, listen
from queueapp.engine.routing import NoWay, Router
from queueapp.engine.rules.watching import Watch
from queueapp.engine.session_pool import SessionPool
from queueapp.engine.sweep import has_due
from queueapp.engine.warmup import Warmups
from queueapp.transports.base import Outcome

LIFETIME = 60.0
# A receiver may take ten minutes to answer the dot (RFC 5321 4.5.3.2.6), and to leave it before would
# repeat its mail; what else is due must not wait for it. All below RQ's limit (kick.JOB_TIMEOUT).
LONGEST = 720.0
LINGER = 10.0
# A claim of one domain while there is room, and when the hands are full.
SHARE, SMALL_SHARE = 200, 20
# Claims that brought less than FEW are so many seconds apart.
FEW, CLAIM_EVERY = 100, 0.05
# Seconds to: let transactions end before a life ends, let them end on SIGTERM, write what came of them.
DRAIN, STOP_GRACE, END_GRACE, WRITE_GRACE = 3.0, 5.0, 60.0, 1.0
T = TypeVar("T")
log = logging.getLogger(__name__)


class QueueRunner(Assigning):
    def __init__(
        self, job: str, lifetime: float = LIFETIME, linger: float = LINGER, longest: float = LONGEST
    ) -> None:
        super().__init__()
        self.job, self.lifetime, self.linger, self.longest = job, lifetime, linger, longest
        self.has_more = False
        self.stopping = False
        self._told_at = 0.0

    def run(self) -> bool:
        """Work until done. True: there is more to do."""
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            loop.run(self._main())
        return self.has_more

    async def in_db(self, function: Callable[[], T]) -> T:
        """Run a database function in this runner's own database thread."""
        return await asyncio.get_running_loop().run_in_executor(self._db, partial(_reconnecting, function))

    def stop(self) -> None:
        """Finish what is being sent, give the rest back, end."""
        self._told_at = self._told_at or time.monotonic()
        self.stopping = True
        self.wake.set()

    @property
    def _is_told(self) -> bool:
        """To end now, by a signal or by the loss of lease or parent."""
        return self._told_at > 0

    # One life

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        self.wake = asyncio.Event()
        self._db = ThreadPoolExecutor(1, thread_name_prefix="runner-db")
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        self.id = await self.in_db(lambda: lease.begin(self.job))
        self.journal = journal.Journal(conf.current().journal, self.id)
        self.hands = Hands(self.id, self.journal, self.in_db, self.wake)
        self.router = Router(self.in_db)
        self.pool = SessionPool(conf.current().sessions, self.share_changed)
        self.warmups = Warmups(self.in_db, self.share_changed)
        self.watch = Watch(self.in_db, self)
        self.allowance = Allowance(self.id, self.in_db, self)
        listening = asyncio.create_task(listen(self.wake))
        background = [listening, asyncio.create_task(beat(self)), asyncio.create_task(self.pool.tend())]
        background += [asyncio.create_task(self.allowance.run()), asyncio.create_task(self.watch.run())]
        try:
            with contextlib.suppress(DatabaseError):
                await self.in_db(own_lines.load)
                await self.limits_changed()
            await self._live()
            # From now on a kick must start somebody else.
            await _cancel([listening])
            await self._wind_down()
            self.has_more = not self._is_told and await self._is_mail_due()
        finally:
            await _cancel(background)
            await self.router.close()
            await self._end()

    async def _live(self) -> None:
        """Work for a lifetime, and on for as long as a receiver keeps a session waiting."""
        end = time.monotonic() + self.longest
        while not await self._work() and not self._is_told:
            self.stopping = True
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=DRAIN)
            if self._is_told or not self._tasks or time.monotonic() > end:
                return
            self.stopping = False
            for site in list(self.sites.values()):
                if site.n_waiting or site.n_sessions:
                    self.staff(site)
                else:
                    self.drop_site(site)

    async def _work(self) -> bool:
        """For a lifetime. True: nothing was left to do."""
        end = time.monotonic() + self.lifetime
        idle_since: float | None = None
        while not self.stopping and time.monotonic() < end:
            self.wake.clear()
            began = time.monotonic()
            n = await self._claim_some()
            if n or self.hands.held:
                idle_since = None
            elif idle_since is None:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > self.linger:
                return True
            if not n:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.wake.wait(), 1.0)
            if n < FEW:
                # Where mail comes singly, a claim for each would cost more than its delivery.
                await asyncio.sleep(max(0.0, began + CLAIM_EVERY - time.monotonic()))
        return False

    async def _is_mail_due(self) -> bool:
        try:
            return await self.in_db(has_due)
        except DatabaseError:
            return True

    async def _claim_some(self) -> int:
        room = self.hands.room
        if room < MAX_HELD // 8:
            return 0
        share = SHARE if room > MAX_HELD // 2 else SMALL_SHARE
        try:
            rows = await self.in_db(
                partial(claim, self.id, min(room, 1000), skip_sites=self.passed_over(), per_domain=share)
            )
        except DatabaseError as error:
            log.warning("no claim: %s", error)
            await asyncio.sleep(1)
            return 0
        await self.hands.take(rows)
        self._spread(rows)
        return len(rows)

    # From claims to sites

    def _spread(self, rows: list[Claimed]) -> None:
        by_way: dict[tuple[int, int | None, bool], list[Claimed]] = {}
        now = timezone.now()
        for row in rows:
            if row.expires_at <= now:
                self.hands.settle([Result(row, _expired(row), now, is_try=False)])
            else:
                by_way.setdefault((row.domain_id, row.route_id, row.is_led), []).append(row)
        for some in by_way.values():
            plan = self.router.known(some[0].domain, some[0].route_id)
            if plan:
                self.to_site(plan, some)
            else:
                self._spawn(self._route(some))

    async def _route(self, rows: list[Claimed]) -> None:
        first = rows[0]
        try:
            plan = await self.router.plan(
                first.domain, first.domain_id, first.site_id, first.domain_rate, first.route_id,
                is_led=first.is_led,
            )  # fmt: skip
        except NoWay as error:
            now = timezone.now()
            self.hands.settle([Result(row, error.outcome, now) for row in rows])
        except DatabaseError as error:
            log.warning("no way for %s yet: %s", rows[0].domain, error)
            await self.hands.give_back(rows)
        else:
            self.to_site(plan, rows)

    # The end

    async def _wind_down(self) -> None:
        """Let sessions finish, give back what was never tried, wait for the commits."""
        self.stopping = True
        if not self.hands.is_lost:
            waiting = [row for site in self.sites.values() for group in site.take_all() for row in group.rows]
            await self._give_back_soon(waiting)
        if self._tasks:
            grace = END_GRACE
            if self._is_told:
                grace = 0.1 if self.hands.is_lost else max(0.1, self._told_at + STOP_GRACE - time.monotonic())
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            await _cancel(late)
        if not self.hands.is_lost:
            await self._give_back_soon(self.hands.never_sent())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.hands.all_settled(), WRITE_GRACE if self._is_told else 30.0)
            with contextlib.suppress(TimeoutError, DatabaseError):
                await asyncio.wait_for(self.watch.tell(), WRITE_GRACE)

    async def _give_back_soon(self, rows: list[Claimed]) -> None:
        """On SIGTERM a database that hangs is not waited for: then the reaper does it."""
        if rows:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.hands.give_back(rows), WRITE_GRACE if self._is_told else 30.0)

    async def _end(self) -> None:
        """The token goes only when nothing is under it any more; else the reaper gets the journal."""
        for alarm in self._alarms.values():
            alarm.cancel()
        await self.pool.close(0.5 if self._is_told else 2.0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.warmups.give_back(), WRITE_GRACE)
        await self.allowance.close()
        await asyncio.to_thread(self.hands.close, 0.5 if self._is_told else 5.0)
        is_clean = False
        with contextlib.suppress(DatabaseError, TimeoutError):
            is_clean = await asyncio.wait_for(self.in_db(partial(_end_if_clean, self.id)), WRITE_GRACE)
        self.journal.close(keep=not is_clean)
        self._db.submit(connections.close_all)
        self._db.shutdown(wait=False)


def _reconnecting(function: Callable[[], T]) -> T:
    """A connection that broke is given up, or every later call would fail on it."""
    try:
        return function()
    except (OperationalError, InterfaceError):
        connections.close_all()
        raise


def _end_if_clean(runner_id: int) -> bool:
    if has_claims(runner_id):
        return False
    lease.end(runner_id)
    return True


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    """End them, and wait for it. Told more than once: in Python 3.11 wait_for can swallow it."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=1.0)
        await asyncio.gather(*done, return_exceptions=True)


def _expired(row: Claimed) -> Outcome:
    hours = (timezone.now() - row.accepted_at).total_seconds() / 3600
    text = f"gave up after {hours:.0f} hours and {row.n_attempts - 1} attempts"
    return Outcome(result="bounced", reply_class="expired", enhanced="4.4.7", text=text, rule="age")
