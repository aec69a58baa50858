"""Group commit: many callers, one writer, one transaction for all that has gathered.

While one commit waits for the disk the next batch gathers; nothing waits for a timer, so an
idle system commits a single item at once and a loaded one hundreds together.

Promises: a caller's future resolves after the commit that holds its item, or with the error
that kept it out. One bad item does not spoil its batch: the batch is tried again one by one.
When the database is away nothing is tried one by one; every caller hears of it at once.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connections

T = TypeVar("T")
R = TypeVar("R")
log = logging.getLogger(__name__)


class GroupCommit(Generic[T, R]):
    """`commit(items)` runs in the writer's thread, opens its own transaction, and returns one
    result an item, in order."""

    def __init__(self, name: str, commit: Callable[[list[T]], list[R]], max_batch: int = 500) -> None:
        self._commit = commit
        self._max_batch = max_batch
        self._items: queue.SimpleQueue[tuple[T, Future[R]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"commit-{name}", daemon=True)
        self._thread.start()

    def submit(self, item: T) -> Future[R]:
        future: Future[R] = Future()
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
            try:
                self._write(batch)
            except Exception as error:
                # A writer that dies in silence would leave every later caller waiting for ever.
                self._fail([each for each in batch if not each[1].done()], error)
        connections.close_all()

    def _gather(self) -> tuple[list[tuple[T, Future[R]]], bool]:
        first = self._items.get()
        if first is None:
            return [], False
        batch = [first]
        while len(batch) < self._max_batch:
            try:
                item = self._items.get_nowait()
            except queue.Empty:
                break
            if item is None:
                return batch, False
            batch.append(item)
        return batch, True

    def _write(self, batch: list[tuple[T, Future[R]]]) -> None:
        live = [(item, future) for item, future in batch if future.set_running_or_notify_cancel()]
        if not live:
            return
        try:
            results = self._commit([item for item, _ in live])
        except (OperationalError, InterfaceError) as error:
            close_old_connections()
            self._fail(live, error)
        except Exception as error:
            if len(live) == 1:
                self._fail(live, error)
            else:
                self._one_by_one(live)
        else:
            for (_, future), result in zip(live, results, strict=True):
                future.set_result(result)

    def _one_by_one(self, live: list[tuple[T, Future[R]]]) -> None:
        for item, future in live:
            try:
                future.set_result(self._commit([item])[0])
            except Exception as error:
                self._fail([(item, future)], error)

    def _fail(self, live: list[tuple[T, Future[R]]], error: Exception) -> None:
        level = logging.WARNING if isinstance(error, DatabaseError) else logging.ERROR
        log.log(level, "a commit of %d failed: %s", len(live), error)
        for _, future in live:
            future.set_exception(error)
