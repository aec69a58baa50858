"""`queue retry|hold|…`: a bulk operation from a terminal: ask, have it done, tell how it goes.

A worker does it, as for the page. Where none takes it up within a moment it is done here. Ctrl-C cancels:
what is done stays done, and is told.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from queueapp.access.change import AccessError, Actor, Wrong
from queueapp.management.access_command import actor
from queueapp.management.base import Failed, WrongUsage
from queueapp.management.columns import printable
from queueapp.models import Operation
from queueapp.operations import actions, run, wake
from queueapp.operations.preview import Preview, preview

VERBS = {
    "retry": ("try deferred ones again, spread over what their receivers take", "retried"),
    "hold": ("keep waiting ones until they are released", "held"),
    "release": ("let held ones go", "released"),
    "bounce": ("give them back to their senders, with a report", "bounced"),
    "delete": ("put them into the bin, for 24 hours", "deleted"),
    "restore": ("take them out of the bin", "restored"),
    "priority": ("change their priority", "changed"),
    "reroute": ("lead them by another way out", "rerouted"),
    "undo": ("reverse an operation", "reversed"),
}
TYPED_ABOVE = 1000
_PATIENCE = 2.0
_POLL = 0.2
Write = Callable[[str], object]


def act(verb: str, q: str, options: dict[str, Any], out: Write, err: Write) -> int:
    """Returns the exit code. Raises GrammarError."""
    who = actor()
    arguments = {name: options[name] for name in ("priority", "route") if options.get(name) is not None}
    try:
        found = preview(who, verb, q=q, arguments=arguments)
        if not found.matched:
            out(json.dumps(_nothing(verb, q)) if options["json"] else "Nothing matches.")
            return 0
        if not options["yes"]:
            _ask(found, err)
        made = actions.create(
            who, verb, q=q, expect=found.matched, seen=found.seen, reason=options["reason"],
            arguments=arguments,
        )  # fmt: skip
    except Wrong as wrong:
        raise WrongUsage(f"{wrong.field}: {wrong}") from None
    except AccessError as error:
        raise Failed(str(error)) from None
    return _result(_followed(who, made, err), out, err, as_json=options["json"])


def undo(pk: int, options: dict[str, Any], out: Write, err: Write) -> int:
    who = actor()
    try:
        made = actions.undo(who, pk)
    except AccessError as error:
        raise Failed(str(error)) from None
    return _result(_followed(who, made, err), out, err, as_json=options["json"])


# ── Before ────────────────────────────────────────────────────────────────────────────────────


def _ask(found: Preview, err: Write) -> None:
    if not sys.stdin or not sys.stdin.isatty():
        raise WrongUsage(f"{found.action} would take {found.matched}: say --yes where nobody can be asked.")
    for line in told(found):
        err(line)
    number = str(found.matched)
    if found.matched > TYPED_ABOVE:
        is_sure = input(f"Type {number} to {found.action} them: ").strip().replace(",", "") == number
    else:
        is_sure = input(f"{found.action.capitalize()} {number}? [y/N] ").strip().lower() in ("y", "yes")
    if not is_sure:
        raise Failed("Nothing was done.")


def told(found: Preview) -> list[str]:
    """What is about to be done, in lines."""
    lines = [f"{found.action}: {found.matched:,} match, {found.touchable:,} of them can be touched now."]
    lines += [f"  {n:>9,}  {printable(name)}" for name, n in found.domains]
    if found.n_other_domains:
        lines.append(f"  {found.other:>9,}  at {found.n_other_domains:,} more domains")
    lines += [f"  left alone: {each.n:,}. {each.why}" for each in found.untouched]
    if found.forecast:
        lines += [f"  {printable(line)}" for line in found.forecast.lines]
    if not found.can_undo:
        lines.append("This can't be undone.")
    return lines


# ── While ─────────────────────────────────────────────────────────────────────────────────────


def _followed(who: Actor, made: Operation, err: Write) -> Operation:
    """Until it has ended."""
    try:
        _follow(made, err)
    except KeyboardInterrupt:
        try:
            made = actions.cancel(who, made.pk)
        except AccessError:  # it ended in this moment
            made.refresh_from_db()
            return made
        err(f"Cancelled: {made.n_done} of {made.n_matched} are done. {_undo_hint(made)}")
        raise CommandError("Interrupted.", returncode=130) from None
    return made


def _follow(made: Operation, err: Write) -> None:
    began = shown = time.monotonic()
    is_here = not wake.is_served()
    is_seen = bool(sys.stderr and sys.stderr.isatty())
    while made.is_open:
        now = time.monotonic()
        if made.state == Operation.State.WAITING and now - began > _PATIENCE:
            is_here = True
        is_moving = is_here and run.step(made.pk)
        time.sleep(run.breath(time.monotonic() - now) if is_moving else _POLL)
        if is_seen and now - shown >= 1:
            shown = now
            err(f"{made.n_seen:,} of {made.n_matched:,}")
        made.refresh_from_db()


# ── After ─────────────────────────────────────────────────────────────────────────────────────


def _result(made: Operation, out: Write, err: Write, *, as_json: bool) -> int:
    if as_json:
        out(json.dumps(_as_json(made)))
    else:
        past = VERBS[made.action][1]
        out(f"{made.n_done} {past}.")
        if made.n_skipped or made.n_failed:
            left = f"{made.n_skipped} left alone, {made.n_failed} failed, of {made.n_matched}."
            err(f"{left} {made.note}".strip())
        if hint := _undo_hint(made):
            err(hint)
    return 1 if made.n_failed or made.state == Operation.State.FAILED else 0


def _undo_hint(made: Operation) -> str:
    if not made.may_be_undone(timezone.now()):
        return ""
    return f"Undo it with: manage.py queue undo {made.pk}"


def _as_json(made: Operation) -> dict[str, Any]:
    return {
        "operation": made.pk, "action": made.action, "state": made.state, "q": made.q,
        "matched": made.n_matched, "done": made.n_done, "skipped": made.n_skipped, "failed": made.n_failed,
    }  # fmt: skip


def _nothing(verb: str, q: str) -> dict[str, Any]:
    return {
        "operation": None, "action": verb, "state": "done", "q": q, "matched": 0, "done": 0, "skipped": 0,
        "failed": 0,
    }  # fmt: skip
