"""The rows of an operation that were left alone or failed, and why; page by page, in the order of chunks."""

from __future__ import annotations

from dataclasses import dataclass, field

from queueapp.models import Delivery, Operation, OperationChunk
from queueapp.models.operation import parted
from queueapp.operations.texts import why

_NO_TURN = "cancelled"


@dataclass(frozen=True, slots=True)
class Left:
    """`reason` is for programs, `why` for people; what is no longer there has no recipient."""

    id: int
    reason: str
    why: str
    recipient: str = ""
    state: str = ""
    is_failed: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is where the next page begins, or None."""

    items: list[Left] = field(default_factory=list)
    next: int | None = None


def page(row: Operation, start: int, limit: int) -> Page:
    """`start`: `next` of the page before, first 0. A chunk's rows are read at a time, never all."""
    number, skip = divmod(start, _STRIDE)
    found: list[tuple[int, str]] = []
    chunks = OperationChunk.objects.filter(operation=row, number__gte=number).order_by("number")
    next_ = None
    for chunk in chunks.iterator(chunk_size=5):
        rows = _left(row, chunk)
        rows = rows[skip:] if chunk.number == number else rows
        room = limit - len(found)
        found += rows[:room]
        if len(rows) > room:
            taken = room + (skip if chunk.number == number else 0)
            next_ = chunk.number * _STRIDE + taken
            break
    return Page(_told(found), next_)


# More than a chunk can hold.
_STRIDE = 1_000_000


def _left(row: Operation, chunk: OperationChunk) -> list[tuple[int, str]]:
    if chunk.done_at is not None:
        return sorted((pk, reason) for reason, ids in chunk.left.items() for pk in parted(ids))
    if row.is_open:
        return []
    if chunk.of is not None and not chunk.ids:
        did = OperationChunk.objects.get(operation_id=row.undo_of_id or 0, number=chunk.of)
        return sorted((pk, _NO_TURN) for ids in did.before.values() for pk in parted(ids))
    return [(pk, _NO_TURN) for pk in parted(chunk.ids)]


def _told(found: list[tuple[int, str]]) -> list[Left]:
    rows = Delivery.objects.in_bulk([pk for pk, _ in found])
    told = []
    for pk, reason in found:
        row = rows.get(pk)
        key = reason.partition(": ")[0]
        told.append(
            Left(pk, key, why(reason), row.recipient if row else "", row.state if row else "", key == "error")
        )
    return told
