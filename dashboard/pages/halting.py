"""Retry and suspend: forms that a recipient domain and a site have alike (domain_acts.py, site_acts.py)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from dashboard.pages.acts import SPANS, Act, Field, number, until
from queueapp.access.change import Actor, Wrong
from queueapp.models import Operation
from queueapp.operations.actions import seen_now


def retry(name: str, n: int, text: str, now: datetime, begin: Callable[..., Operation]) -> Act:
    """`begin(actor, expect=, reason=, seen=)` makes the operation; `n` and `now` as the form shows them."""

    def do(actor: Actor, typed: dict[str, str]) -> str:
        made = begin(
            actor, expect=number("expect", typed["expect"]), reason=typed["reason"], seen=typed["seen"]
        )
        return f"Operation {made.pk} retries {counted(made.n_matched)} to {name}."

    fields = (
        Field("reason", "Reason", hint="Kept in the audit; may stay empty."),
        Field("expect", "", str(n), type="hidden"),
        Field("seen", "", seen_now(now), type="hidden"),
    )
    return Act(f"Retry {counted(n)} to {name}?", text, f"Retry {n:,}", do, fields)


def suspend(title: str, text: str, halt: Callable[[Actor, str, datetime | None], Any]) -> Act:
    """`halt(actor, reason, until)` gives what is suspended, which has a name."""

    def do(actor: Actor, typed: dict[str, str]) -> str:
        if not typed["reason"]:
            raise Wrong("reason", "Say why: the board shows it to whoever wonders.")
        return f"{halt(actor, typed['reason'], until(typed['until'])).name} is suspended."

    fields = (
        Field("reason", "Reason", hint="Shown on the board and in the audit.", is_needed=True),
        Field("until", "How long", choices=SPANS),
    )
    return Act(title, text, "Suspend", do, fields)


def counted(n: int) -> str:
    return f"{n:,} {'delivery' if n == 1 else 'deliveries'}"
