"""Rows in the hands of a person's action: locked, told apart by their state, and changed.

Promises: nobody is waited for. A row that somebody else is at is `busy`, and left to a later try; so
nobody who locks rows here waits for another while domains are locked (engine/counters.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from queueapp.models import State
from queueapp.models.bulk import ManyRows, any_of, as_time, id_list
from queueapp.stats import Tally

BUSY = "busy"
GONE = "gone"
CHANGED = "changed"


class Row(NamedTuple):
    """A delivery as a verb found it, and locked it."""

    id: int
    domain_id: int
    state: str
    n_attempts: int
    priority: int
    next_attempt_at: datetime | None
    hold_reason: str
    last_attempt_at: datetime | None
    operation_id: int | None
    route_id: int | None


@dataclass(slots=True)
class Done:
    """`before`: what was changed, by what it was before (a key for `undo`). `left`: by the reason."""

    before: dict[str, list[int]] = field(default_factory=dict)
    left: dict[str, list[int]] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    @property
    def n(self) -> int:
        return sum(map(len, self.before.values()))

    def did(self, key: str, pk: int) -> None:
        self.before.setdefault(key, []).append(pk)

    def leave(self, reason: str, pk: int) -> None:
        self.left.setdefault(reason, []).append(pk)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what; None: a rule does. `due` gives the time when a row may go, or why it must not (a
    text)."""

    operation_id: int | None
    now: datetime
    reason: str = ""
    priority: int = 5
    route_id: int | None = None
    due: Callable[[Row], datetime | str] | None = None


def locked(ids: list[int], states: tuple[State, ...], done: Done) -> list[Row]:
    """Those that the verb is for, ours until the commit; why the others are not goes to `done`."""
    found = _read(ids, f"AND state IN ({_quoted(states)})", lock=True)
    missing = sorted(set(ids) - {row.id for row in found})
    if missing:
        others = {row.id: row for row in _read(missing, "", lock=False)}
        for pk in missing:
            other = others.get(pk)
            is_busy = other is not None and other.state in states
            done.leave(BUSY if is_busy else other.state if other else GONE, pk)
    return found


_COLUMNS = (
    "id, domain_id, state, n_attempts, priority, next_attempt_at, hold_reason, last_attempt_at, "
    "operation_id, route_id"
)


def _read(ids: list[int], condition: str, *, lock: bool) -> list[Row]:
    sql = f"SELECT {_COLUMNS} FROM queueapp_delivery WHERE {any_of('id')} {condition} ORDER BY id"
    if lock and connection.vendor == "postgresql":
        sql += " FOR NO KEY UPDATE SKIP LOCKED"
    with connection.cursor() as cursor:
        cursor.execute(sql, [id_list(ids)])
        return [_row(row) for row in cursor.fetchall()]


def _row(row: tuple[Any, ...]) -> Row:
    pk, domain_id, state, n_attempts, priority, next_at, hold_reason, last_at, operation_id, route_id = row
    return Row(
        pk, domain_id, state, n_attempts, priority, as_time(next_at) if next_at else None, hold_reason,
        as_time(last_at) if last_at else None, operation_id, route_id,
    )  # fmt: skip


def _quoted(states: tuple[State, ...]) -> str:
    return ", ".join(f"'{state.value}'" for state in states)


def update(ids: list[int], states: tuple[State, ...], sets: str, values: list[Any], asked: Asked) -> None:
    """They are locked: that fewer are changed than were asked for can't be, and must not pass."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE queueapp_delivery SET operation_id = %s, {sets} "
            f"WHERE {any_of('id')} AND state IN ({_quoted(states)})",
            [asked.operation_id, *[_stored(value) for value in values], id_list(ids)],
        )
        if cursor.rowcount != len(ids):
            raise RuntimeError(f"{cursor.rowcount} of {len(ids)} locked deliveries were changed")


def _stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value


def run(statement: ManyRows, rows: list[tuple[Any, ...]]) -> None:
    found = statement.run(rows)
    if connection.vendor == "postgresql" and len(found) != len(rows):
        raise RuntimeError(f"{len(found)} of {len(rows)} locked deliveries were changed")
