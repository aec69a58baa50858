"""Ask for a bulk operation, cancel it, undo it: scope, frozen set, audit row, and the worker's wake-up.

Promises: the set is frozen in the transaction that confirms, so nothing that arrives later is touched;
where another number matches than the person was shown nothing is done; the same token does not make a
second operation; what is refused leaves an audit row. The work itself is in run.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from queueapp import events
from queueapp.access import refusals
from queueapp.access.change import Actor, Missing, Taken, allow, known, note
from queueapp.engine.actions import FROM, UNDOABLE
from queueapp.models import Operation, OperationState
from queueapp.operations.asked import (
    MOST_IDS,
    SCOPE,
    check_action,
    check_arguments,
    chosen,
    read_seen,
    reason_of,
    scope_of,
    seen_now,
    token_of,
)
from queueapp.operations.freeze import Differs, freeze
from queueapp.operations.undoing import copy_of, undo_until
from queueapp.operations.wake import wake

__all__ = [
    "FROM",
    "MOST_IDS",
    "UNDOABLE",
    "cancel",
    "check",
    "chosen",
    "create",
    "named",
    "read_seen",
    "seen_now",
    "undo",
]


class NotAsShown(Taken):
    """Another number matches than `expect`; `n` is the true one."""

    def __init__(self, expect: int, n: int) -> None:
        super().__init__(f"{n} match now, and not {expect}: nothing was done. Look again, and confirm {n}.")
        self.n = n


def create(
    actor: Actor,
    action: str,
    *,
    q: str | None = None,
    ids: Sequence[int] | None = None,
    expect: int | None = None,
    reason: str = "",
    arguments: Mapping[str, Any] | None = None,
    token: str = "",
    seen: str = "",
) -> Operation:
    """Freeze what `q` selects, or the rows `ids`, and have it done. `expect`: how many the person was
    shown; `seen`: of the preview, so that what came after it is left out; `token`: one a click.

    Raises GrammarError, NotAllowed, Wrong, and NotAsShown.
    """
    target = f"{action[:20]} {q if ids is None else 'chosen rows'}"
    kept = check(actor, action, q=q, ids=ids, arguments=arguments)
    made = Operation(
        action=action, actor=actor.name[:150], origin=actor.origin[:64], q=q or "",
        is_chosen=ids is not None, reason=reason_of(reason), arguments=kept,
        token=token_of(token), created_at=timezone.now(),
    )  # fmt: skip
    rows = chosen(q, ids, seen, made.created_at)
    if expect is None and ids is not None:
        expect = len(set(ids))
    try:
        with transaction.atomic():
            made.save()
            made.n_matched = freeze(made.pk, action, rows, expect)
            made.save(update_fields=["n_matched"])
            note(actor, "operation.create", target, _detail(made), n=made.n_matched)
            _tell(made.pk)
    except Differs as differs:
        assert expect is not None
        _refuse(actor, "operation.create", target, {"expect": expect, "matched": differs.n, "q": made.q})
        raise NotAsShown(expect, differs.n) from None
    except IntegrityError:
        return _same(actor, made, expect)
    return made


def check(
    actor: Actor,
    action: str,
    *,
    q: str | None,
    ids: Sequence[int] | None,
    arguments: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Whether such a thing may be asked for, and its arguments as they are kept. Raises NotAllowed and
    Wrong."""
    target = f"{action[:20]} {q if ids is None else 'chosen rows'}"
    allow(actor, scope_of(action), "operation.create", target, {"q": (q or "")[:2000]})
    check_action(action)
    return check_arguments(action, arguments)


def cancel(actor: Actor, pk: int) -> Operation:
    """End it between two chunks: what is done stays done, what was left is listed as cancelled."""
    # Who may not is told so, and nothing of which operations there are.
    allow(actor, SCOPE, "operation.cancel", f"operation {pk}", {"operation": known(pk)})
    row = named(pk)
    target = str(row)
    now = timezone.now()
    with transaction.atomic():
        # A chunk that is at work now finds the operation ended, and takes its part back (run.py).
        operations = Operation.objects.open().filter(pk=row.pk)
        n = operations.update(
            state=OperationState.CANCELLED, ended_at=now, cancelled_by=actor.name[:150],
            n_skipped=F("n_matched") - F("n_done") - F("n_failed"), undo_until=undo_until(row, now),
        )  # fmt: skip
        row.refresh_from_db()
        if n:
            note(actor, "operation.cancel", target, {"operation": row.pk, "q": row.q}, n=row.n_done)
            events.publish("operations", operation=row.pk)
    if not n:
        _refuse(actor, "operation.cancel", target, {"operation": row.pk, "state": row.state})
        raise Taken(f"Operation {row.pk} is {row.state} already: there is nothing left to cancel.")
    return row


def undo(actor: Actor, pk: int) -> Operation:
    """A new operation that reverses what the other did, where that is still as it left it; once."""
    # Who may not is told so, and nothing of which operations there are.
    allow(actor, SCOPE, "operation.undo", f"operation {pk}", {"operation": known(pk)})
    row = named(pk)
    target = str(row)
    allow(actor, scope_of(row.action), "operation.undo", target, {"operation": row.pk})
    now = timezone.now()
    why_not = _why_not_undone(row, now)
    if not why_not:
        made = Operation(
            action="undo", actor=actor.name[:150], origin=actor.origin[:64], q=row.q,
            is_chosen=row.is_chosen, reason=row.reason, created_at=now, undo_of=row,
        )  # fmt: skip
        try:
            with transaction.atomic():
                made.save()
                made.n_matched = copy_of(made.pk, row.pk)
                made.save(update_fields=["n_matched"])
                note(actor, "operation.undo", target, {**_detail(made), "of": row.pk}, n=made.n_matched)
                _tell(made.pk)
            return made
        except IntegrityError:  # somebody else was quicker
            why_not = f"Operation {row.pk} was undone already."
    _refuse(actor, "operation.undo", target, {"operation": row.pk, "why": why_not})
    raise Taken(why_not)


def _why_not_undone(row: Operation, now: datetime) -> str:
    if row.is_open:
        return f"Operation {row.pk} is still at work: cancel it first, then undo what it did."
    if row.action == "undo":
        return "What was undone can be done again, but an undo can't be undone."
    if row.action not in UNDOABLE:
        return f"{row.action} can't be undone: what is sent or told to a sender can't be taken back."
    if hasattr(row, "undone_by"):
        return f"Operation {row.pk} was undone already, by operation {row.undone_by.pk}."
    if row.undo_until is None or row.undo_until <= now:
        return f"Operation {row.pk} can't be undone any more: 24 hours have passed."
    return "" if row.n_done else f"Operation {row.pk} changed nothing: there is nothing to undo."


def named(pk: int) -> Operation:
    """Raises Missing."""
    row = Operation.objects.filter(pk=known(pk)).first()
    if row is None:
        raise Missing(f"There is no operation {pk}.")
    return row


def _same(actor: Actor, made: Operation, expect: int | None) -> Operation:
    """The operation that this token made before."""
    before = Operation.objects.filter(actor=made.actor, token=made.token).exclude(token="").first()
    if before is None:
        raise Taken("This could not be stored. Try again.")
    is_same = (before.action, before.q, before.is_chosen, before.arguments) == (
        made.action, made.q, made.is_chosen, made.arguments,
    )  # fmt: skip
    if not is_same or expect not in (None, before.n_matched):
        _refuse(actor, "operation.create", str(before), {"token": made.token, "q": made.q})
        raise Taken(f"This token made operation {before.pk}, which is another one.")
    return before


# ── Audit ─────────────────────────────────────────────────────────────────────────────────────


def _detail(row: Operation) -> dict[str, Any]:
    return {
        "operation": row.pk, "action": row.action, "q": row.q, "chosen": row.is_chosen, "reason": row.reason,
        "arguments": row.arguments,
    }  # fmt: skip


def _refuse(actor: Actor, action: str, target: str, detail: dict[str, Any]) -> None:
    refusals.note(actor.name, actor.origin, action, target, detail)


def _tell(pk: int) -> None:
    events.publish("operations", operation=pk)
    wake()
