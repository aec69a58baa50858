"""What a runner has in hand: its claims, the bodies of their messages, and what came of them.

Promises: a claim leaves only when its outcome is committed, when it is given back, or with the
process; memory for bodies is bounded, whatever the queue holds. Outcomes that the database does
not take now are offered again each second; those that it never takes are left to the reaper.
All of it belongs to the runner's event loop; only the writer's thread runs beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError

from queueapp.engine import bodies, outcome
from queueapp.engine.claim import Claimed, release
from queueapp.engine.journal import Journal
from queueapp.engine.outcome import Result
from queueapp.engine.writer import GroupCommit

MAX_HELD = 4000
# Nobody waits for the commit of an outcome: the journal has it.
OUTCOMES_LINGER = 0.05
log = logging.getLogger(__name__)


class Hands:
    """`in_db` runs a function in the runner's database thread; `wake` is set when there is room."""

    def __init__(
        self,
        runner_id: int,
        journal: Journal,
        in_db: Callable[[Callable[[], Any]], Awaitable[Any]],
        wake: asyncio.Event,
    ) -> None:
        self.runner_id, self.journal, self.in_db, self.wake = runner_id, journal, in_db, wake
        self.held: dict[int, Claimed] = {}
        self.is_lost = False
        """The lease is gone: what is here belongs to others."""
        self.n_claimed = self.n_delivered = self.n_deferred = self.n_bounced = 0
        self._bodies: dict[int, bytes] = {}
        self._n_early = 0
        self._users: dict[int, int] = {}
        """Message id to how many of its deliveries are here: when to forget the body."""
        self._settling: dict[int, Claimed] = {}
        """In the writer's hands, by delivery id."""
        self._settled_one = asyncio.Event()
        self._big = bodies.Budget(bodies.LATE_TOTAL)
        self._writer: GroupCommit[list[Result], list[bool]] = GroupCommit(
            "outcomes", self._record, linger=OUTCOMES_LINGER
        )

    @property
    def room(self) -> int:
        return MAX_HELD - len(self.held)

    def figures(self) -> dict[str, int]:
        """As the Runner row has them."""
        return {
            "n_claimed": self.n_claimed,
            "n_delivered": self.n_delivered,
            "n_deferred": self.n_deferred,
            "n_bounced": self.n_bounced,
        }

    # Claims

    async def take(self, rows: list[Claimed]) -> None:
        """Claims come in, with the small bodies of their messages."""
        self.n_claimed += len(rows)
        for row in rows:
            self.held[row.id] = row
            self._users[row.message_id] = self._users.get(row.message_id, 0) + 1
        await self._load_bodies(rows)

    def holds(self, row: Claimed) -> bool:
        """Neither settled nor given back: somebody has to."""
        return self.held.get(row.id) is row and self._settling.get(row.id) is not row

    def never_sent(self) -> list[Claimed]:
        """Those without a dot: a dot whose reply was not waited for is the journal's, and so the reaper's."""
        return [
            row
            for row in self.held.values()
            if self.holds(row) and not self.journal.is_open((row.id, row.n_attempts))
        ]

    async def give_back(self, rows: list[Claimed], wait: float = 0.0) -> None:
        """`wait`: seconds until they are due again."""
        try:
            await self.in_db(lambda: release(self.runner_id, rows, wait))
        except DatabaseError as error:
            log.warning("%d claims stay with the reaper: %s", len(rows), error)
        for row in rows:
            self._drop(row)

    def _drop(self, row: Claimed) -> None:
        if self.held.get(row.id) is row:
            del self.held[row.id]
        left = self._users.get(row.message_id, 1) - 1
        if left:
            self._users[row.message_id] = left
        else:
            self._users.pop(row.message_id, None)
            self._n_early -= len(self._bodies.pop(row.message_id, b""))

    # Bodies

    async def _load_bodies(self, rows: list[Claimed]) -> None:
        sizes = {row.message_id: row.size for row in rows if row.message_id not in self._bodies}
        chosen = bodies.worth_loading(sizes, bodies.EARLY_TOTAL - self._n_early)
        if not chosen:
            return
        try:
            loaded = await self.in_db(partial(bodies.load, chosen))
        except DatabaseError as error:
            log.warning("the bodies are read when they are sent: %s", error)
            return
        self._bodies.update(loaded)
        self._n_early += sum(map(len, loaded.values()))

    def known_body(self, message_id: int) -> bytes | None:
        """The source as it goes out, if it is here already."""
        return self._bodies.get(message_id)

    @contextlib.asynccontextmanager
    async def body(self, message_id: int, size: int) -> AsyncIterator[bytes | None]:
        """The source of a message as it goes out; what is not here yet is read now, and not kept.

        Raises CannotSign.
        """
        known = self.known_body(message_id)
        if known is not None:
            yield known
            return
        async with self._big.hold(size):
            yield await self.in_db(partial(bodies.load_one, message_id))

    # Outcomes

    def settle(self, results: list[Result]) -> None:
        """Hand results to the writer; they leave our hands when they are committed."""
        self._settling.update((each.claimed.id, each.claimed) for each in results)
        self._writer.submit(results).add_done_callback(partial(self._settled, results))

    def _settled(self, results: list[Result], done: asyncio.Future[list[bool]]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(self._settled_one.set)
        error = done.exception()
        if isinstance(error, (OperationalError, InterfaceError)) and not self.is_lost:
            loop.call_later(1.0, self.settle, results)
            return
        if error:
            log.error("%d outcomes could not be recorded and are left to the reaper: %s", len(results), error)
            written = [False] * len(results)
        else:
            self.journal.committed([(each.claimed.id, each.claimed.n_attempts) for each in results])
            written = done.result()
        for each, is_written in zip(results, written, strict=True):
            self._count(each, is_written)
            if self._settling.get(each.claimed.id) is each.claimed:
                del self._settling[each.claimed.id]
            self._drop(each.claimed)
        if self.room > MAX_HELD // 2:
            self.wake.set()

    def _count(self, result: Result, is_written: bool) -> None:
        if is_written and result.is_try:
            self.n_delivered += result.outcome.result == "delivered"
            self.n_deferred += result.outcome.result == "deferred"
            self.n_bounced += result.outcome.result == "bounced"

    def _record(self, groups: list[list[Result]]) -> list[list[bool]]:
        flags = iter(outcome.record(self.runner_id, [result for group in groups for result in group]))
        return [[next(flags) for _ in group] for group in groups]

    async def all_settled(self) -> None:
        """Until nothing is in the writer's hands."""
        while self._settling:
            self._settled_one.clear()
            await self._settled_one.wait()

    def close(self, timeout: float) -> None:
        """Blocks: the writer commits what it has, and ends."""
        self._writer.close(timeout)
