"""Ids for rows about to be added, known before they are stored.

PostgreSQL gives them out of its sequences, so that nobody else gets them. On SQLite they are counted on
from the last one, which only the write lock of a transaction keeps others from.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection


def are_ours() -> bool:
    """Whether `new_ids` may be asked before the transaction that adds the rows. Not long before: who has
    seen the last id of a table takes all above it for newer (operations/asked.py)."""
    return connection.vendor == "postgresql"


def new_ids(**tables: int) -> list[Sequence[int]]:
    """For each table so many ids, in their order. Inside the transaction that adds the rows, unless
    `are_ours`."""
    if not any(tables.values()):
        return [() for _ in tables]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            one = "SELECT %s, nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)"
            values = [value for table, n in tables.items() for value in (table, table, n)]
            cursor.execute(" UNION ALL ".join([one] * len(tables)), values)
            found: dict[str, list[int]] = {table: [] for table in tables}
            for table, pk in cursor.fetchall():
                found[table].append(pk)
            return list(found.values())
        cursor.execute("SELECT name, seq FROM sqlite_sequence")
        last = dict(cursor.fetchall())
    return [range(last.get(table, 0) + 1, last.get(table, 0) + 1 + n) for table, n in tables.items()]
