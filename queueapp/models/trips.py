"""Fewer round trips to PostgreSQL: statements that go together, and the ends of a transaction with them.

For a single mail the round trips of a transaction cost more than its statements. So statements that
return nothing are gathered and go as one query (`together`); where they are the whole transaction it
needs neither BEGIN nor COMMIT, since PostgreSQL runs the statements of one query as one transaction
("Multiple Statements in a Simple Query", protocol-flow); where they are its end COMMIT goes with them.

Promises: Django's `atomic` stays what decides: hooks on commit, errors and nested blocks are as ever;
inside another transaction nothing is committed here. On SQLite, which has no round trips, all is run
at once. Never: opens a transaction by itself. What goes over the wire is queueapp/models/wire.py.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection
from psycopg.pq import TransactionStatus

from queueapp.models import wire

Question = wire.Statement


class _Waiting(threading.local):
    statements: list[wire.Statement] | None = None


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
    with connection.wrap_database_errors:
        if is_whole:
            wire.exchange(connection.connection, statements)
        else:
            wire.exchange(connection.connection, [*_begin(), *statements, *([wire.COMMIT] if ends else [])])


def ask(*questions: Question) -> list[list[tuple[Any, ...]]]:
    """The rows of each question, all in one round trip. PostgreSQL only."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        return wire.exchange(connection.connection, [*_begin(), *questions])[-len(questions) :]


def _begin() -> list[wire.Statement]:
    """Where Django has begun a transaction of which the server has not heard yet."""
    status = connection.connection.pgconn.transaction_status
    is_open = connection.in_atomic_block or not connection.get_autocommit()
    return [wire.BEGIN] if is_open and status == TransactionStatus.IDLE else []


def _is_unbegun() -> bool:
    """The outermost block was entered, and nothing was asked of the server in it."""
    connection.ensure_connection()
    is_idle = connection.connection.pgconn.transaction_status == TransactionStatus.IDLE
    return is_idle and len(connection.atomic_blocks) == 1
