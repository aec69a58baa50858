"""Ids for rows about to be added, known before they are stored.

PostgreSQL gives them out of its sequences, so that nobody else gets them. On SQLite they are counted on
from the last one, which only the write lock of a transaction keeps others from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection

from queueapp.models import trips

# The name of a sequence is looked up once, not for each row.
_NEXT = """
    SELECT nextval(s.name) FROM (SELECT pg_get_serial_sequence($1::text, 'id')::regclass AS name OFFSET 0) s,
    generate_series(1, $2::integer)"""


def are_ours() -> bool:
    """Whether `new_ids` may be asked before the transaction that adds the rows. Not long before: who has
    seen the last id of a table takes all above it for newer (operations/asked.py)."""
    return connection.vendor == "postgresql"


def new_ids(**tables: int) -> list[Sequence[int]]:
    """For each table so many ids, in their order. Inside the transaction that adds the rows, unless
    `are_ours`."""
    return new_ids_and([], **tables)[0]


def new_ids_and(
    questions: Sequence[trips.Question], **tables: int
) -> tuple[list[Sequence[int]], list[list[tuple[Any, ...]]]]:
    """The same, with the answers to other questions in the same round trip. Such can be asked on PostgreSQL
    only."""
    if connection.vendor == "postgresql":
        wanted = [(_NEXT, (table, n)) for table, n in tables.items() if n]
        answers = trips.ask(*wanted, *questions) if wanted or questions else []
        taken = iter(answers)
        return [[pk for (pk,) in next(taken)] if n else () for n in tables.values()], answers[len(wanted) :]
    if not any(tables.values()):
        return [() for _ in tables], []
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, seq FROM sqlite_sequence")
        last = dict(cursor.fetchall())
    return [range(last.get(table, 0) + 1, last.get(table, 0) + 1 + n) for table, n in tables.items()], []
