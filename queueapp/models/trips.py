"""Fewer round trips to PostgreSQL: statements that go together, and the ends of a transaction with them.

For a single mail the round trips of a transaction cost more than its statements. So statements that
return nothing are gathered and go as one query (`together`); where they are the whole transaction it
needs neither BEGIN nor COMMIT, since PostgreSQL runs the statements of one query as one transaction
("Multiple Statements in a Simple Query", protocol-flow); where they are its end COMMIT goes with them.

Promises: Django's `atomic` stays what decides: hooks on commit, errors and nested blocks are as ever;
inside another transaction nothing is committed here. On SQLite, which has no round trips, all is run
at once. Never: opens a transaction by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection
from psycopg.pq import TransactionStatus


class _Waiting(threading.local):
    statements: list[tuple[str, list[Any]]] | None = None


_waiting = _Waiting()


@contextmanager
def together(*, is_end: bool = False) -> Iterator[None]:
    """What is added and changed inside goes to PostgreSQL in one round trip, in order, when it is left.

    Inside `atomic`. `is_end`: nothing of that transaction comes after it. Raises what any of the
    statements raises, when it is left.
    """
    if connection.vendor != "postgresql" or _waiting.statements is not None:
        yield
        return
    _waiting.statements = []
    try:
        yield
        send_what_waits(is_end=is_end)
    finally:
        _waiting.statements = None


def first(sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a query. Where a transaction begins with it, BEGIN goes with it."""
    if connection.vendor != "postgresql" or not _is_unbegun():
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []
    raw = connection.connection
    # psycopg would send BEGIN by itself, and wait for it.
    raw.autocommit = True
    with connection.wrap_database_errors, psycopg.ClientCursor(raw) as cursor:
        cursor.execute(b"BEGIN; " + cursor.mogrify(sql, params).encode())
        cursor.nextset()
        return cursor.fetchall() if cursor.description else []


def is_waiting() -> bool:
    """Whether statements are gathered now."""
    return _waiting.statements is not None


def put(statement: str, values: list[Any]) -> None:
    """One more for those that go together. Its values stand as $1, $2 and so on."""
    assert _waiting.statements is not None
    _waiting.statements.append((statement, values))


def send_what_waits(*, is_end: bool = False) -> None:
    """Now, and not when `together` is left: for a statement of another kind that must come after them."""
    statements = _waiting.statements
    if not statements:
        return
    _waiting.statements = []
    ends = is_end and len(connection.atomic_blocks) == 1
    is_whole = ends and _is_unbegun()
    raw = connection.connection
    if is_whole:
        raw.autocommit = True  # so that psycopg sends no BEGIN
    # Django has nothing prepared; these few statements are the same all day.
    threshold, raw.prepare_threshold = raw.prepare_threshold, 0
    try:
        with connection.wrap_database_errors, raw.pipeline(), psycopg.RawCursor(raw) as cursor:
            for statement, values in statements:
                cursor.execute(statement, values, prepare=True)
            if ends and not is_whole:
                cursor.execute("COMMIT")
    finally:
        raw.prepare_threshold = threshold


def _is_unbegun() -> bool:
    """The outermost block was entered, and nothing was asked of the server in it."""
    connection.ensure_connection()
    is_idle = connection.connection.pgconn.transaction_status == TransactionStatus.IDLE
    return is_idle and len(connection.atomic_blocks) == 1
