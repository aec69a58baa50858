"""Retry, suspend, resume and limit a recipient domain (operations/actions.py, access/limits.py act)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from django.utils import timezone

from dashboard.pages import halting
from dashboard.pages.acts import Act, Field, act_view
from dashboard.pages.halting import counted
from dashboard.snapshot.links import domain_page, quoted
from queueapp import conf
from queueapp.access import limits, routes
from queueapp.access.change import Actor, Wrong
from queueapp.grammar import GrammarError
from queueapp.models import Operation, RecipientDomain
from queueapp.operations import actions as operations
from queueapp.operations.forecast import forecast

_TIMES = {"retry_first": "First retry after", "retry_cap": "Longest wait", "max_age": "Give up after"}


def _retry(name: str) -> tuple[Act, str]:
    row, now = limits.domain_named(name), timezone.now()
    n = row.n_deferred
    told = forecast(Counter({row.pk: n})).lines if n else []
    text = (
        f"{counted(n)} waiting for the next attempt become due, spread under the limits of the site."
        f"{' ' + str(told[0]) + '.' if told else ''}"
    )

    def begin(actor: Actor, **asked: Any) -> Operation:
        try:
            return operations.create(actor, "retry", q=f"domain:{quoted(row.name)} state:deferred", **asked)
        except GrammarError as error:
            raise Wrong("q", str(error)) from None

    return halting.retry(row.name, n, text, now, begin), domain_page(row.name)


def _suspend(name: str) -> tuple[Act, str]:
    row = limits.domain_named(name)
    text = (
        f"{_waits(row)} stays in the queue, safe, and nothing is sent until it is resumed. "
        "New mail is accepted and waits, too."
    )

    def halt(actor: Actor, reason: str, until: datetime | None) -> RecipientDomain:
        return limits.suspend_domain(actor, row.name, reason, until)

    return halting.suspend(f"Suspend {row.name}?", text, halt), domain_page(row.name)


def _resume(name: str) -> tuple[Act, str]:
    row = limits.domain_named(name)

    def do(actor: Actor, typed: dict[str, str]) -> str:
        return f"{limits.resume_domain(actor, row.name).name} is resumed."

    text = f"{_waits(row)} goes again when it is due, at the pace that its site takes."
    why = f" It was suspended: {row.suspended_reason}" if row.suspended_reason else ""
    return Act(f"Resume {row.name}?", text + why, "Resume", do), domain_page(row.name)


def _limits(name: str) -> tuple[Act, str]:
    row, current = limits.domain_named(name), conf.current()

    def do(actor: Actor, typed: dict[str, str]) -> str:
        changes: dict[str, Any] = {"rate": typed["rate"] or None}
        for field in _TIMES:
            changes[field] = _seconds(field, typed[field])
        return f"The limits of {limits.set_domain_limits(actor, row.name, changes).name} are set."

    rate = f"Such as 600/m or 10/s; none: no limit. Empty: {current.domain_rate or 'none'}, as set."
    fields = [Field("rate", "Rate", row.rate, rate)]
    for field, label in _TIMES.items():
        hint = f"Such as 90s, 5m, 4h, 2d. Empty: {_written(getattr(current, field))}, as set."
        fields.append(Field(field, label, _written(getattr(row, field)), hint))
    text = "They hold for all runners together, which follow within 5 seconds."
    return Act(f"Limits of {row.name}", text, "Set limits", do, tuple(fields)), domain_page(row.name)


def _route(name: str) -> tuple[Act, str]:
    row = limits.domain_named(name)

    def do(actor: Actor, typed: dict[str, str]) -> str:
        done = routes.lead_domain(actor, row.name, typed["route"])
        return f"{done.name} goes by {done.route.name}." if done.route else f"{done.name} goes its own way."

    ways = [(each.name, f"{each.name}: {each.leads_to}") for each in routes.choices()]
    text = (
        "All its mail takes that way from its next attempt on, what comes later, too; a delivery that was "
        "rerouted by itself keeps its own. Runners follow within 5 seconds."
    )
    choices = ((routes.DEFAULT, "by the patterns of routes (no choice)"), *ways)
    chosen = row.route.name if row.route else routes.DEFAULT
    hint = "" if ways else "There is no route with a name yet: add one on the page Routes first."
    field = Field("route", "Way out", chosen, hint, choices)
    return Act(f"Way out of mail to {row.name}", text, "Set the way", do, (field,)), domain_page(row.name)


def _waits(row: RecipientDomain) -> str:
    n = row.n_queued + row.n_deferred
    return f"Its mail ({n:,} {'delivery waits' if n == 1 else 'deliveries wait'})"


def _seconds(field: str, text: str) -> float | None:
    if not text:
        return None
    try:
        return conf.duration(text).total_seconds()
    except ValueError as error:
        raise Wrong(field, f"{field} {text[:40]!r} is not {error}") from None


def _written(value: Any) -> str:
    if value is None:
        return ""
    seconds = int(value.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


retry, suspend = act_view(_retry), act_view(_suspend)
resume, set_limits, set_route = act_view(_resume), act_view(_limits), act_view(_route)
