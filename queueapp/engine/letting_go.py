"""Retry, release, restore: waiting mail that may go, at the time that the caller gives for each row."""

from __future__ import annotations

from datetime import datetime, timedelta

from queueapp.engine.counters import Changes
from queueapp.engine.locked import Asked, Done, Row, run, update
from queueapp.kick import kick
from queueapp.models import State
from queueapp.models.bulk import ManyRows

# Mail that was held for days gets at least so long to be tried in, unless its sender named an end.
_GRACE = timedelta(hours=24)


def release(rows: list[Row], asked: Asked, done: Done, changes: Changes) -> None:
    """It goes on where it stood, at the time that `due` gives; one that a sender asked for stays."""
    _let_go(rows, asked, changes)
    for row in rows:
        done.did(row.hold_reason, row.id)


def restore(rows: list[Row], asked: Asked, done: Done, changes: Changes) -> None:
    """Out of the bin: what was held is held again, for the reason that it had."""
    held = [row for row in rows if row.hold_reason]
    update([row.id for row in held], (State.DELETED,), "state = 'held', finished_at = NULL", [], asked)
    for row in held:
        changes.move(row.domain_id, State.DELETED, State.HELD)
    _let_go([row for row in rows if not row.hold_reason], asked, changes)
    for row in rows:
        done.did(State.DELETED.value, row.id)


_GO = """
    state = {state}, operation_id = {operation}, next_attempt_at = {at}, hold_reason = '', finished_at = NULL,
    expires_at = CASE WHEN {d}expires_at < {until}
        AND (SELECT m.expires_at IS NULL FROM queueapp_message m WHERE m.id = {d}message_id)
        THEN {until} ELSE {d}expires_at END
"""
_LET_GO = ManyRows(
    "id:bigint state:text operation:bigint at:timestamptz until:timestamptz",
    postgresql="UPDATE queueapp_delivery d SET "
    + _GO.format(state="v.state", operation="v.operation", at="v.at", until="v.until", d="d.")
    + " FROM {rows} WHERE d.id = v.id AND d.state IN ('held', 'deleted') RETURNING d.id",
    sqlite="UPDATE queueapp_delivery SET "
    + _GO.format(state="?2", operation="?3", at="?4", until="?5", d="queueapp_delivery.")
    + " WHERE id = ?1",
)


def _let_go(rows: list[Row], asked: Asked, changes: Changes) -> None:
    made, until = [], asked.now + _GRACE
    for row in rows:
        state = State.DEFERRED if row.n_attempts else State.QUEUED
        at = asked.due(row) if asked.due else asked.now
        assert isinstance(at, datetime)
        if row.next_attempt_at and not row.n_attempts:
            at = max(at, row.next_attempt_at)  # the time that its sender asked for
        made.append((row.id, state.value, asked.operation_id, at, until))
        changes.move(row.domain_id, row.state, state)
        changes.waits_until(row.domain_id, at)
    run(_LET_GO, made)
    if made:
        kick()


_RETRY = ManyRows(
    "id:bigint operation:bigint at:timestamptz",
    postgresql="UPDATE queueapp_delivery d SET operation_id = v.operation, next_attempt_at = v.at "
    "FROM {rows} WHERE d.id = v.id AND d.state = 'deferred' RETURNING d.id",
    sqlite="UPDATE queueapp_delivery SET operation_id = ?2, next_attempt_at = ?3 WHERE id = ?1",
)


def retry(rows: list[Row], asked: Asked, done: Done, changes: Changes) -> None:
    made = []
    for row in rows:
        at = asked.due(row) if asked.due else asked.now
        if isinstance(at, str):
            done.leave(at, row.id)
            continue
        made.append((row.id, asked.operation_id, at))
        done.did(row.state, row.id)
        changes.waits_until(row.domain_id, at)
    run(_RETRY, made)
    if made:
        kick()
