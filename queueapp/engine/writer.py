"""Group commit: many callers, one writer, one transaction for all that has gathered.

While one commit waits for the disk the next batch gathers. An idle system commits a single item
at once; where commit follows on commit, each waits a few milliseconds for more to share it: a
transaction costs as much as dozens of rows.

Promises: a caller's future resolves after the commit that holds its item, or with the error
that kept it out. One bad item does not spoil its batch: the batch is tried again one by one.
When the database is away nothing is tried one by one; every caller hears of it at once.
An event loop is woken once a batch, however many of its callers are in it.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connections

T = TypeVar("T")
R = TypeVar("R")
# After a commit the next one is expected for so many seconds.
_BUSY_FOR = 0.05
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
        self._items: queue.SimpleQueue[tuple[T, asyncio.Future[R]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"commit-{name}", daemon=True)
        self._thread.start()

    def submit(self, item: T) -> asyncio.Future[R]:
        """On an event loop, to which the future belongs."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._items.put((item, future))
        return future

    def close(self, timeout: float = 10) -> None:
        """Commit what is there, then end the thread."""
        self._items.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._gather()
            live = [each for each in batch if not each[1].cancelled()]
            try:
                results = self._write([item for item, _ in live]) if live else []
            except Exception as error:
                # A writer that dies in silence would leave every later caller waiting for ever.
                results = _failed(len(live), error)
            _tell([future for _, future in live], results)
            if len(live) >= self._crowd:
                self._busy_until = time.monotonic() + _BUSY_FOR
        connections.close_all()

    def _gather(self) -> tuple[list[tuple[T, asyncio.Future[R]]], bool]:
        first = self._items.get()
        if first is None:
            return [], False
        batch = [first]
        until = time.monotonic()
        if until < self._busy_until:
            until += self._linger
        while len(batch) < self._max_batch:
            try:
                left = until - time.monotonic()
                item = self._items.get(timeout=left) if left > 0 else self._items.get_nowait()
            except queue.Empty:
                break
            if item is None:
                return batch, False
            batch.append(item)
        return batch, True

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
