"""Group commit: many callers, one writer, one transaction for all that has gathered.

While one commit waits for the disk the next batch gathers. An idle system commits a single item
at once; where commit follows on commit, each waits a few milliseconds for more to share it: a
transaction costs as much as dozens of rows.

Promises: a caller's future resolves after the commit that holds its item, or with the error
that kept it out. One bad item does not spoil its batch: the batch is tried again one by one.
When the database is away nothing is tried one by one; every caller hears of it at once.
An event loop is woken once a batch, however many of its callers are in it, and so is the writer.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connections

T = TypeVar("T")
R = TypeVar("R")
# After a commit the next one is expected for so many seconds.
_BUSY_FOR = 0.05
# Where so many came while it waited there are more to come, and it waits again; so often at most.
_STREAM, _WAITS = 2, 4
_SWITCH = 0.0005
log = logging.getLogger(__name__)


class GroupCommit(Generic[T, R]):
    """`commit(items)` runs in the writer's thread, opens its own transaction, and returns one
    result an item, in order."""

    def __init__(
        self,
        name: str,
        commit: Callable[[list[T]], list[R]],
        max_batch: int = 500,
        linger: float = 0.0,
        crowd: int = 1,
    ) -> None:
        """`linger`: how many seconds an item waits for others, if a commit of at least `crowd` items has
        just been."""
        self._commit, self._linger, self._crowd = commit, linger, crowd
        self._busy_until = 0.0
        # Else the event loop waits up to 5 ms for this thread whenever both have something to do.
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH))
        self._max_batch = max_batch
        self._items: deque[tuple[T, asyncio.Future[R]]] = deque()
        # Rung where the writer may sleep, not for each item: a thread that is woken takes the processor, and
        # the interpreter, from those who bring more.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_rung = self._is_closing = False
        self._wanted = 0
        """How many items end the wait for more: as many as came together lately."""
        self._thread = threading.Thread(target=self._run, name=f"commit-{name}", daemon=True)
        self._thread.start()

    def submit(self, item: T) -> asyncio.Future[R]:
        """On an event loop, to which the future belongs."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._items.append((item, future))
        if not self._is_rung or len(self._items) == self._wanted:
            self._ring()
        return future

    def close(self, timeout: float = 10) -> None:
        """Commit what is there, then end the thread."""
        self._is_closing = True
        self._ring()
        self._thread.join(timeout)

    def _ring(self) -> None:
        self._is_rung = True
        self._bell.put(None)

    def _run(self) -> None:
        while self._sleep():
            batch = self._gather()
            live = [each for each in batch if not each[1].cancelled()]
            try:
                results = self._write([item for item, _ in live]) if live else []
            except Exception as error:
                # A writer that dies in silence would leave every later caller waiting for ever.
                results = _failed(len(live), error)
            _tell([future for _, future in live], results)
            if len(live) >= self._crowd:
                self._busy_until = time.monotonic() + _BUSY_FOR
            self._wanted = max(len(live), self._wanted - 1)
        connections.close_all()

    def _sleep(self) -> bool:
        """Until there is something. False: there is nothing, and nothing will come."""
        while True:
            # In this order: who comes after the look rings again.
            self._is_rung = False
            if self._items:
                self._is_rung = True
                return True
            if self._is_closing:
                return False
            self._bell.get()

    def _gather(self) -> list[tuple[T, asyncio.Future[R]]]:
        n_waits = _WAITS if time.monotonic() < self._busy_until else 0
        for _ in range(n_waits):
            n = len(self._items)
            self._wait()
            if len(self._items) >= self._wanted or len(self._items) < n + _STREAM:
                break
        return [self._items.popleft() for _ in range(min(len(self._items), self._max_batch))]

    def _wait(self) -> None:
        """Once `linger`, or until as many are there as are wanted."""
        until = time.monotonic() + self._linger
        with suppress(queue.Empty):
            while len(self._items) < self._wanted and not self._is_closing:
                self._bell.get(timeout=max(0.0, until - time.monotonic()))

    def _write(self, items: list[T]) -> list[R | Exception]:
        try:
            return list(self._commit(items))
        except (OperationalError, InterfaceError) as error:
            close_old_connections()
            return _failed(len(items), error)
        except Exception as error:
            if len(items) == 1:
                return _failed(1, error)
            return [result for item in items for result in self._write([item])]


def _failed(n: int, error: Exception) -> list[R | Exception]:
    level = logging.WARNING if isinstance(error, DatabaseError) else logging.ERROR
    log.log(level, "a commit of %d failed: %s", n, error)
    return [error] * n


def _tell(futures: list[asyncio.Future[R]], results: list[R | Exception]) -> None:
    """Each caller on its own loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[R], R | Exception]]] = {}
    for future, result in zip(futures, results, strict=True):
        by_loop.setdefault(future.get_loop(), []).append((future, result))
    for loop, pairs in by_loop.items():
        with suppress(RuntimeError):  # a loop that is closed has nobody who waits
            loop.call_soon_threadsafe(_resolve, pairs)


def _resolve(pairs: list[tuple[asyncio.Future[R], R | Exception]]) -> None:
    for future, result in pairs:
        if future.cancelled():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
