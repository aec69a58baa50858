"""Do what was frozen, chunk by chunk: one RQ job serves all open operations in turn.

Promises: a chunk is done in one short transaction with its counts, so a run that is killed goes on behind
the last one, and nothing is done twice; several runs at once take different chunks; an operation that was
cancelled takes back the chunk that was at work. What a runner has in its hands, or somebody else is
changing, is looked at again for a while, and is then listed as left alone. A row that can't be changed is
found by halving its chunk and listed as failed; the others are done.
Failure: a database that is away ends the job, and the sweep starts another.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from datetime import timedelta

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Max
from django.utils import timezone

from queueapp import events
from queueapp.access.change import Actor, note
from queueapp.engine import actions
from queueapp.engine.actions import BUSY, Asked, Done
from queueapp.models import Operation, OperationChunk, OperationState, State
from queueapp.models.operation import OperationChunkQuerySet, joined, parted
from queueapp.operations import paced
from queueapp.operations.undoing import groups, undo_until

LIFETIME = 60.0
AGAIN = timedelta(seconds=2)
# So often rows in use are looked at again: longer than nearly every SMTP transaction.
MOST_TRIES = 10
_PAUSE = 0.2
_TELL_EVERY = 1.0
log = logging.getLogger(__name__)


class _Ended(Exception):
    """The operation was cancelled while its chunk was at work."""


def work(lifetime: float = LIFETIME) -> bool:
    """Serve open operations until none is left, or the time is up. Returns whether work is left."""
    stop, until, told = _stop_signal(), time.monotonic() + lifetime, 0.0
    while not stop.is_set() and time.monotonic() < until:
        ids = list(Operation.objects.open().values_list("pk", flat=True)[:100])
        if not ids:
            return False
        # Each gets one chunk in its turn: three rows don't wait for half a million.
        is_moving = False
        for pk in ids:
            began = time.monotonic()
            if step(pk):
                is_moving = True
                stop.wait(breath(time.monotonic() - began))
            if time.monotonic() - told >= _TELL_EVERY:
                told = time.monotonic()
                events.publish("operations", n=len(ids))
                events.publish("deliveries", operations=len(ids))
            if stop.is_set():
                break
        if not is_moving:
            stop.wait(_PAUSE)
    return Operation.objects.open().exists()


def breath(took: float) -> float:
    """Seconds between two chunks, for those who want to write, too: SQLite has one writer, and who waits
    for it asks again only now and then. `took`: the last one, in seconds; where the disk is slow the others
    wait longer, and get as much longer."""
    return min(max(0.05, took / 2), 1.0) if connection.vendor == "sqlite" else 0.0


def step(pk: int) -> bool:
    """One chunk of it. False: there is nothing to do at this moment."""
    now = timezone.now()
    operations = Operation.objects.filter(pk=pk, state=OperationState.WAITING)
    operations.update(state=OperationState.RUNNING, started_at=now)
    row = Operation.objects.filter(pk=pk, state=OperationState.RUNNING).first()
    if row is None:
        return False
    try:
        if not _is_ready(row):
            return False
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        log.exception("operation %d can't be begun", pk)
        _fail(row, error)
        return True
    chunk = None
    try:
        with transaction.atomic():
            chunk = _next(row)
            if chunk is not None:
                _do(row, chunk)
    except _Ended:
        return False
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        log.exception("chunk %s of operation %d can't be done", chunk and chunk.number, pk)
        if chunk is not None:
            _halve(row, chunk, error)
        return True
    if chunk is not None:
        return True
    if not OperationChunk.objects.filter(operation=row).left().exists():
        _finish(row)
        return True
    return False


def _is_ready(row: Operation) -> bool:
    if row.action in paced.PACED:
        return paced.is_ready(row)
    if row.action == "bounce" and (next_one := _due(row).first()):
        actions.prepare(row.action, parted(next_one.ids))
    return True


def _fail(row: Operation, error: Exception) -> None:
    """It can't go on, and must not keep the others from going on."""
    left = F("n_matched") - F("n_done") - F("n_failed")
    Operation.objects.filter(pk=row.pk, state=OperationState.RUNNING).update(
        state=OperationState.FAILED, ended_at=timezone.now(), n_skipped=left,
        undo_until=undo_until(row, timezone.now()),
        note=f"It could not go on: {type(error).__name__}: {error}"[:1000],
    )  # fmt: skip
    events.publish("operations", operation=row.pk)


def _next(row: Operation) -> OperationChunk | None:
    return _due(row).select_for_update(skip_locked=True).first()


def _due(row: Operation) -> OperationChunkQuerySet:
    return OperationChunk.objects.filter(operation=row).due(timezone.now())


def _do(row: Operation, chunk: OperationChunk) -> None:
    now = timezone.now()
    priority, route_id = int(row.arguments.get("priority", 5)), row.arguments.get("route_id")
    result = _act(row, chunk, Asked(row.pk, now, _reason(row), priority, route_id))
    later = _take_later(row, chunk, result)
    if later:
        _add(row, chunk, later, again_at=now + AGAIN, n_tries=chunk.n_tries + 1)
    chunk.n -= len(later)
    chunk.n_done, chunk.done_at = result.n, now
    chunk.before = {key: joined(ids) for key, ids in result.before.items()}
    chunk.left = {key: joined(ids) for key, ids in result.left.items()}
    chunk.save()
    _count(row, result.n, chunk.n - result.n, 0)


def _act(row: Operation, chunk: OperationChunk, asked: Asked) -> Done:
    if row.action == "undo":
        assert row.undo_of is not None
        assert row.undo_of_id is not None
        before, did = groups(chunk, row.undo_of_id)
        assert did.done_at is not None
        return actions.undo(row.undo_of.action, before, asked, row.undo_of_id, did.done_at)
    ids = parted(chunk.ids)
    if row.action in paced.PACED:
        return paced.act(row, ids, asked)
    return actions.act(row.action, ids, asked)


def _reason(row: Operation) -> str:
    return row.reason or f"by {row.actor}"


def _take_later(row: Operation, chunk: OperationChunk, result: Done) -> list[int]:
    """Rows in use: a try may end with the mail deferred, and then it is what the person meant."""
    if chunk.n_tries >= MOST_TRIES:
        return []
    kinds = [BUSY] if row.action in ("retry", "release", "restore") else [BUSY, State.SENDING.value]
    return sorted(pk for kind in kinds for pk in result.left.pop(kind, []))


def _add(row: Operation, chunk: OperationChunk, ids: list[int], **values: object) -> None:
    last = OperationChunk.objects.filter(operation=row).aggregate(last=Max("number"))["last"] or 0
    OperationChunk.objects.create(
        operation=row, number=last + 1, ids=joined(ids), n=len(ids), of=chunk.of, **values
    )


def _count(row: Operation, n_done: int, n_skipped: int, n_failed: int) -> None:
    """Last in the transaction: whoever cancels waits for a moment only."""
    running = Operation.objects.filter(pk=row.pk, state=OperationState.RUNNING)
    n = running.update(
        n_done=F("n_done") + n_done, n_skipped=F("n_skipped") + n_skipped, n_failed=F("n_failed") + n_failed
    )
    if not n:
        raise _Ended


def _halve(row: Operation, chunk: OperationChunk, error: Exception) -> None:
    """One of its rows can't be changed: find it, and do the others."""
    try:
        with transaction.atomic():
            mine = OperationChunk.objects.filter(pk=chunk.pk, done_at__isnull=True)
            fresh = mine.select_for_update(skip_locked=True).first()
            if fresh is None:
                return
            ids = parted(fresh.ids)
            if fresh.of is not None and not ids:
                assert row.undo_of_id is not None
                ids = sorted(pk for some in groups(fresh, row.undo_of_id)[0].values() for pk in some)
            if len(ids) <= 1:
                why = f"error: {type(error).__name__}: {error}"[:300]
                fresh.done_at, fresh.left = timezone.now(), {why: joined(ids)}
                fresh.save()
                _count(row, 0, 0, fresh.n)
                return
            half = len(ids) // 2
            fresh.ids, fresh.n = joined(ids[:half]), half
            fresh.save()
            _add(row, fresh, ids[half:], n_tries=fresh.n_tries)
    except _Ended:
        return


def _finish(row: Operation) -> None:
    now = timezone.now()
    with transaction.atomic():
        operations = Operation.objects.filter(pk=row.pk, state=OperationState.RUNNING)
        said = paced.note(row) if row.action in paced.PACED else ""
        if not operations.update(
            state=OperationState.DONE, ended_at=now, undo_until=undo_until(row, now), note=said[:1000]
        ):
            return
        if row.undo_of_id is not None:
            Operation.objects.filter(pk=row.undo_of_id).update(state=OperationState.UNDONE)
        row.refresh_from_db()
        told = {"operation": row.pk, "action": row.action, "q": row.q, "reason": row.reason,
                "matched": row.n_matched, "skipped": row.n_skipped, "failed": row.n_failed}  # fmt: skip
        who = Actor(row.actor, frozenset(), row.origin)
        note(who, "operation.done", str(row), told, n=row.n_done)
        events.publish("operations", operation=row.pk)
        events.publish("deliveries", operation=row.pk)


def _stop_signal() -> threading.Event:
    """Set by SIGTERM, where we are a process's main thread: the chunk at work is finished first."""
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    return stop
