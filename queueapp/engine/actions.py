"""What people do to deliveries: the only way by which anything but a runner or a reaper changes a state.

Each verb takes a few thousand ids, inside the caller's transaction, and tells what it did to which, by
what they were before, and what it left alone and why (a state, or `busy`: somebody else is at that row
right now, so ask again).

Promises: a row is changed only in the states that the verb is for, and by a statement that looks at the
state again; counters, `due_at` and rollups change in the same transaction; runners are kicked on commit.
Never: takes a mail out of a runner's hands. What is being sent stays as it is, and is said so.

Locks, in the order of claim and outcome: rows first and without waiting for any (SKIP LOCKED), then
domains in the order of their ids. Nobody who holds domains waits for rows, so nobody waits in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from queueapp import stats
from queueapp.engine import giving_back, letting_go
from queueapp.engine.counters import Changes
from queueapp.engine.locked import BUSY, Asked, Done, Row, locked, update
from queueapp.engine.undoing import UNDOABLE, undo
from queueapp.models import WAITING, State

__all__ = ["BUSY", "FROM", "UNDOABLE", "Asked", "Done", "Row", "act", "prepare", "undo"]

_OPEN = (*WAITING, State.HELD)
# What each verb is for; anything else is left alone.
FROM: dict[str, tuple[State, ...]] = {
    "retry": (State.DEFERRED,),
    "hold": WAITING,
    "release": (State.HELD,),
    "bounce": _OPEN,
    "delete": _OPEN,
    "restore": (State.DELETED,),
    "priority": _OPEN,
    "reroute": _OPEN,
}


def act(action: str, ids: list[int], asked: Asked) -> Done:
    """`action` is a key of FROM. In the caller's transaction."""
    done = Done()
    rows = locked(ids, FROM[action], done)
    changes = Changes()
    _VERBS[action](rows, asked, done, changes)
    changes.apply()
    stats.record(done.tally, asked.now)
    return done


def prepare(action: str, ids: list[int]) -> None:
    """What must be there before the transaction of `act`."""
    if action == "bounce":
        giving_back.make_domains(ids)


def _hold(rows: list[Row], asked: Asked, done: Done, changes: Changes) -> None:
    update(
        [row.id for row in rows],
        FROM["hold"],
        "state = 'held', hold_reason = %s",
        [asked.reason[:255]],
        asked,
    )
    for row in rows:
        done.did(row.state, row.id)
        changes.move(row.domain_id, row.state, State.HELD)


def _delete(rows: list[Row], asked: Asked, done: Done, changes: Changes) -> None:
    """To the bin. Its time and reason stay in the row: restored, it is as it was."""
    update(
        [row.id for row in rows], FROM["delete"], "state = 'deleted', finished_at = %s", [asked.now], asked
    )
    for row in rows:
        done.did(row.state, row.id)
        changes.move(row.domain_id, row.state, State.DELETED)


def _priority(rows: list[Row], asked: Asked, done: Done, changes: Changes) -> None:
    update([row.id for row in rows], FROM["priority"], "priority = %s", [asked.priority], asked)
    for row in rows:
        done.did(str(row.priority), row.id)


def _reroute(rows: list[Row], asked: Asked, done: Done, changes: Changes) -> None:
    """Another way out from its next attempt on; when that is stays as it was."""
    update([row.id for row in rows], FROM["reroute"], "route_id = %s", [asked.route_id], asked)
    for row in rows:
        done.did(str(row.route_id or 0), row.id)


_VERBS: Mapping[str, Callable[[list[Row], Asked, Done, Changes], None]] = {
    "retry": letting_go.retry,
    "hold": _hold,
    "release": letting_go.release,
    "bounce": giving_back.bounce,
    "delete": _delete,
    "restore": letting_go.restore,
    "priority": _priority,
    "reroute": _reroute,
}
