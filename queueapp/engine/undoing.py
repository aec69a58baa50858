"""Reverse what an operation did, where it is still as that left it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from queueapp.engine.counters import Changes
from queueapp.engine.locked import CHANGED, Asked, Done, Row, locked, update
from queueapp.kick import kick
from queueapp.models import WAITING, State

_OPEN = (*WAITING, State.HELD)
# The states in which what each verb did can be reversed.
_AFTER: dict[str, tuple[State, ...]] = {
    "hold": (State.HELD,),
    "release": WAITING,
    "delete": (State.DELETED,),
    "restore": _OPEN,
    "priority": _OPEN,
    "reroute": _OPEN,
}
# What says nothing of the past: it is set back also where a runner has tried it since.
_KEPT = ("priority", "reroute")
UNDOABLE = frozenset(_AFTER)


def undo(action: str, before: Mapping[str, list[int]], asked: Asked, of: int, at: datetime) -> Done:
    """Reverse what the operation `of` did at `at` to these rows, where they are still as it left them.

    What a runner has tried since, or somebody has changed, is left alone as `changed`.
    """
    done, changes = Done(), Changes()
    states = _AFTER[action]
    for key, ids in before.items():
        rows = []
        for row in locked(ids, states, done):
            is_untried = row.last_attempt_at is None or row.last_attempt_at < at
            if row.operation_id == of and (is_untried or action in _KEPT):
                rows.append(row)
                done.did(row.state, row.id)
            else:
                done.leave(CHANGED, row.id)
        _reverse(action, key, rows, asked, changes)
    changes.apply()
    return done


def _reverse(action: str, key: str, rows: list[Row], asked: Asked, changes: Changes) -> None:
    ids, states = [row.id for row in rows], _AFTER[action]
    if action == "priority":
        update(ids, states, "priority = %s", [int(key)], asked)
        return
    if action == "reroute":
        update(ids, states, "route_id = %s", [int(key) or None], asked)
        return
    if action == "restore":
        update(ids, states, "state = 'deleted', finished_at = %s", [asked.now], asked)
        to = State.DELETED
    elif action == "release":
        update(ids, states, "state = 'held', hold_reason = %s", [key], asked)
        to = State.HELD
    else:
        to = State(key)
        emptied = ", hold_reason = ''" if action == "hold" else ""
        update(ids, states, f"state = %s, finished_at = NULL{emptied}", [to.value], asked)
    for row in rows:
        changes.move(row.domain_id, row.state, to)
        if to in WAITING:
            changes.waits_until(row.domain_id, row.next_attempt_at or asked.now)
    if rows and to in WAITING:
        kick()
