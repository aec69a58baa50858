"""Freeze the set: the ids of all that matches, in the transaction that confirms.

Promises: exactly the rows that match when it is frozen, in chunks; half a million in under a second, and
in the same memory as ten: on PostgreSQL no id leaves the server, on SQLite they pass by one chunk at a
time. Raises Differs where there are more or fewer than the person was shown; the caller's transaction
then takes all back.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection

from queueapp.models import OperationChunk
from queueapp.models.delivery import DeliveryQuerySet

CHUNK = 2_000
SMALL_CHUNK = 1_000  # on SQLite, whose one writer everybody waits for
# A report to a sender reads the beginning of its mail: not too many in one transaction.
CHUNKS = {"bounce": 200}


class Differs(Exception):
    """`n` is the true number."""

    def __init__(self, n: int) -> None:
        super().__init__(f"{n} match")
        self.n = n


def freeze(operation_id: int, action: str, rows: DeliveryQuerySet, expect: int | None) -> int:
    """Returns how many there are."""
    size = CHUNKS.get(action, SMALL_CHUNK if connection.vendor == "sqlite" else CHUNK)
    write = _in_postgresql if connection.vendor == "postgresql" else _in_sqlite
    try:
        sql, params = rows.order_by("id").values_list("id", flat=True).query.sql_with_params()
    except EmptyResultSet:  # nothing can match, so Django has no statement for it
        n = 0
    else:
        n = write(operation_id, size, sql, list(params))
    if expect is not None and n != expect:
        raise Differs(n)
    return n


_FREEZE = """
    WITH made AS (
        INSERT INTO queueapp_operationchunk
            (operation_id, number, ids, n, n_tries, n_done, before, "left")
        SELECT %s, (place - 1) / {size}, string_agg(id::text, ','), count(*), 0, 0, '{{}}', '{{}}'
        FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM ({sql}) found) numbered
        GROUP BY 2
        RETURNING n
    )
    SELECT coalesce(sum(n), 0) FROM made
"""


def _in_postgresql(operation_id: int, size: int, sql: str, params: list[Any]) -> int:
    with connection.cursor() as cursor:
        # To sort half a million ids in memory, which is quicker than by files; until the commit.
        cursor.execute("SELECT set_config('work_mem', '64MB', true)")
        cursor.execute(_FREEZE.format(sql=sql, size=int(size)), [operation_id, *params])
        return int(cursor.fetchone()[0])


def _in_sqlite(operation_id: int, size: int, sql: str, params: list[Any]) -> int:
    n = number = 0
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        while some := cursor.fetchmany(size):
            ids = ",".join([str(pk) for (pk,) in some])
            OperationChunk.objects.create(operation_id=operation_id, number=number, ids=ids, n=len(some))
            n += len(some)
            number += 1
    return n
