"""The set of an undo: what the other operation did, chunk by chunk, as that noted it; and until when it may
be asked for."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Sum

from queueapp.engine.actions import UNDOABLE
from queueapp.models import Operation, OperationChunk
from queueapp.models.operation import parted

_COPY = """
    INSERT INTO queueapp_operationchunk (operation_id, number, ids, n, of, n_tries, n_done, before, "left")
    SELECT %s, number, '', n_done, number, 0, 0, '{}', '{}' FROM queueapp_operationchunk
    WHERE operation_id = %s AND n_done > 0
"""


UNDO_FOR = timedelta(hours=24)


def undo_until(row: Operation, now: datetime) -> datetime | None:
    """Until when what it did can be reversed: as long as its first rows are in the bin."""
    return (row.started_at or now) + UNDO_FOR if row.action in UNDOABLE else None


def copy_of(operation_id: int, of: int) -> int:
    """One statement at any size; returns how many rows are to be reversed."""
    with connection.cursor() as cursor:
        cursor.execute(_COPY, [operation_id, of])
    return OperationChunk.objects.filter(operation_id=operation_id).aggregate(n=Sum("n"))["n"] or 0


def groups(chunk: OperationChunk, of: int) -> tuple[dict[str, list[int]], OperationChunk]:
    """What an undo's chunk is to reverse, by what it was before, and the chunk that did it."""
    assert chunk.of is not None
    did = OperationChunk.objects.get(operation_id=of, number=chunk.of)
    only = set(parted(chunk.ids))
    found = {key: [pk for pk in parted(ids) if not only or pk in only] for key, ids in did.before.items()}
    return {key: ids for key, ids in found.items() if ids}, did
