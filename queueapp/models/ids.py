"""Ids for rows about to be added, known before they are stored.

PostgreSQL gives them out of its sequences, so that nobody else gets them, and a few are taken ahead:
then a commit that follows on another need not ask for its own. What is in stock is forgotten after a
second, so ids stay in the order of acceptance to that second. On SQLite they are counted on from the
last one, which only the write lock of a transaction keeps others from.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence

from django.db import connection

# So many times what was asked for is taken, for commits that follow.
_AHEAD, _MOST_AHEAD = 4, 400
_KEPT_FOR = 1.0


class _Stock(threading.local):
    """Of this thread, and not of the process that it was forked from."""

    pid = 0
    until = 0.0
    ids: dict[str, list[int]] = {}  # noqa: RUF012  replaced, never changed in place


_stock = _Stock()


def new_ids(**tables: int) -> list[Sequence[int]]:
    """For each table so many ids. Inside the transaction that adds the rows."""
    if not any(tables.values()):
        return [() for _ in tables]
    if connection.vendor == "postgresql":
        kept = _kept()
        return _taken(kept if _has(kept, tables) else _asked(tables), tables)
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, seq FROM sqlite_sequence")
        last = dict(cursor.fetchall())
    return [range(last.get(table, 0) + 1, last.get(table, 0) + 1 + n) for table, n in tables.items()]


def have_ids(**tables: int) -> None:
    """See to it that `new_ids` has so many without asking; before the transaction that wants them."""
    if connection.vendor == "postgresql" and not _has(_kept(), tables):
        ahead = {table: n + min(n * _AHEAD, _MOST_AHEAD) for table, n in tables.items()}
        _stock.ids, _stock.pid, _stock.until = _asked(ahead), os.getpid(), time.monotonic() + _KEPT_FOR


def _kept() -> dict[str, list[int]]:
    return _stock.ids if _stock.pid == os.getpid() and time.monotonic() < _stock.until else {}


def _has(kept: dict[str, list[int]], tables: dict[str, int]) -> bool:
    return all(len(kept.get(table, ())) >= n for table, n in tables.items())


def _asked(tables: dict[str, int]) -> dict[str, list[int]]:
    """In the order of their numbers."""
    one = "SELECT %s, nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)"
    values = [value for table, n in tables.items() for value in (table, table, n)]
    found: dict[str, list[int]] = {table: [] for table in tables}
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join([one] * len(tables)), values)
        for table, pk in cursor.fetchall():
            found[table].append(pk)
    return found


def _taken(ids: dict[str, list[int]], tables: dict[str, int]) -> list[Sequence[int]]:
    taken: list[Sequence[int]] = [ids[table][:n] for table, n in tables.items()]
    for table, n in tables.items():
        del ids[table][:n]
    return taken
