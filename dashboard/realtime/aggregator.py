"""One snapshot a second at most, for all sockets of this process.

Each web process has one aggregator that hears Redis itself and reads the database itself. So no
channel layer stands between: several processes cost a handful of indexed queries a second each,
while a layer would bring queues without a bound and a leader to elect.

Promises: works only while somebody looks; a change is sent at once if the last snapshot is a second
old, and otherwise when it is; without changes a snapshot every `refresh` seconds keeps ages true and
tells the browser that we live. A slow socket gets the newest snapshot and costs nobody else time.
Failure: without Redis the database is asked every `poll` seconds, and the snapshot says so in
`is_live`; while the database is away nothing is sent, so the page shows since when it is stale.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from django.db import close_old_connections, connections

from dashboard.realtime.news import News
from dashboard.realtime.slot import Slot
from dashboard.snapshot import build

log = logging.getLogger("mailweir.live")


class Aggregator:
    """Use from one event loop. Times are seconds."""

    def __init__(
        self,
        build: Callable[[], dict[str, Any]] = build,
        *,
        interval: float = 1.0,
        refresh: float = 5.0,
        poll: float = 2.0,
    ) -> None:
        self._build, self._interval, self._refresh, self._poll = build, interval, refresh, poll
        self._slots: set[Slot] = set()
        self._seq = 0
        self._last = ""
        self._work: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._news = News(self._changed)

    def join(self, slot: Slot) -> None:
        """From now on the slot gets every snapshot, and at once the last one."""
        self._slots.add(slot)
        if self._last:
            slot.put(self._last)
        self._changed.set()
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run(), name="live-aggregator")

    def leave(self, slot: Slot) -> None:
        self._slots.discard(slot)
        if not self._slots and self._work is not None:
            self._work.cancel()
            self._work = None
            self._last = ""  # too old for the next one who looks

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._news = News(self._changed)  # its own, for the one before may still be ending
        listening = asyncio.create_task(self._news.listen(), name="live-news")
        thread = ThreadPoolExecutor(1, thread_name_prefix="snapshot")  # so that one connection is kept
        try:
            while True:
                self._changed.clear()
                began = loop.time()
                await self._send_one(loop, thread)
                await asyncio.sleep(max(0.0, began + self._interval - loop.time()))
                await self._wait()
        finally:
            thread.submit(connections.close_all)
            thread.shutdown(wait=False)
            while not listening.done():  # again and again: see news.py
                listening.cancel()
                await asyncio.wait([listening], timeout=0.1)

    async def _send_one(self, loop: asyncio.AbstractEventLoop, thread: ThreadPoolExecutor) -> None:
        try:
            found = await loop.run_in_executor(thread, self._built)
        except Exception:
            # Whatever it was, the next second may be better; the page says by itself that it is stale.
            log.exception("live figures could not be read")
            return
        self._seq += 1
        told = {"seq": self._seq, "is_live": self._news.is_connected, **found}
        self._last = orjson.dumps(told, option=orjson.OPT_UTC_Z).decode()
        for slot in self._slots:
            slot.put(self._last)

    def _built(self) -> dict[str, Any]:
        close_old_connections()
        return self._build()

    async def _wait(self) -> None:
        """For a change, or until figures are due without one."""
        patience = self._refresh if self._news.is_connected else self._poll
        try:
            async with asyncio.timeout(max(0.0, patience - self._interval)):
                await self._changed.wait()
        except TimeoutError:
            pass


_aggregators: dict[asyncio.AbstractEventLoop, Aggregator] = {}


def aggregator() -> Aggregator:
    """The one of this process, which has one event loop for its life."""
    loop = asyncio.get_running_loop()
    if loop not in _aggregators:
        for other in [each for each in _aggregators if each.is_closed()]:
            del _aggregators[other]
        _aggregators[loop] = Aggregator()
    return _aggregators[loop]
