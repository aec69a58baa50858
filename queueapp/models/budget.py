"""A limit on the time of a query: what a person waits for ends in time, at any size of the queue.

`at_most` ends a statement that runs longer and raises OutOfTime; `Clock` tells what is left and how much to
look at next. On PostgreSQL the limit is the statement's own, in a transaction of its own; on SQLite it is
asked for while the statement runs. The transaction around it, where there is one, stays usable.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction

_STEPS = 20_000  # of SQLite's machine between two looks at the clock: about a millisecond
_GRACE = 0.02
_GROWTH = 4
_FEWEST = 100


class OutOfTime(Exception):
    """The statement would have taken longer."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Statements inside are ended after so many seconds. Raises OutOfTime."""
    limited = _on_postgresql if connection.vendor == "postgresql" else _on_sqlite
    try:
        with limited(max(seconds, 0.001)):
            yield
    except OperationalError as error:
        if _is_ours(error):
            raise OutOfTime from error
        raise


@contextmanager
def _on_postgresql(seconds: float) -> Iterator[None]:
    is_inside = connection.in_atomic_block
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(int(seconds * 1000) + 1)])
        yield
        if is_inside:
            with connection.cursor() as cursor:  # what comes behind in the same transaction is not limited
                cursor.execute("SET LOCAL statement_timeout TO DEFAULT")


@contextmanager
def _on_sqlite(seconds: float) -> Iterator[None]:
    connection.ensure_connection()
    raw, until = connection.connection, time.monotonic() + seconds
    raw.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)


def _is_ours(error: OperationalError) -> bool:
    if connection.vendor == "postgresql":
        return getattr(error.__cause__, "sqlstate", "") == "57014"
    return str(error) == "interrupted"


class Clock:
    """Time for one answer. `None` seconds: as long as it takes."""

    def __init__(self, seconds: float | None) -> None:
        self.until = None if seconds is None else time.monotonic() + seconds
        self._lap = time.monotonic()

    @property
    def left(self) -> float:
        return float("inf") if self.until is None else self.until - time.monotonic()

    def next_size(self, size: int) -> int:
        """How many to look at next, after `size` since the last call; 0 when the time is up."""
        now = time.monotonic()
        took, self._lap = max(now - self._lap, 1e-4), now
        affordable = size / took * self.left * 0.6
        found = min(size * _GROWTH, affordable)
        return int(found) if found >= min(_FEWEST, size) else 0

    @contextmanager
    def limit(self, is_first: bool) -> Iterator[None]:
        """The first look is never cut short, so that each answer comes further than the one before."""
        if is_first or self.until is None:
            yield
            return
        with at_most(self.left + _GRACE):
            yield
