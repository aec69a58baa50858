"""Retry, suspend and resume a whole site, lift what holds its mail back, and set its limits (access/limits.py
and operations/actions.py act)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from dashboard.pages import halting
from dashboard.pages.acts import Act, Field, act_view, number
from dashboard.pages.halting import counted
from dashboard.snapshot.links import site_page
from queueapp import conf
from queueapp.access import limits
from queueapp.access.change import Actor, Missing
from queueapp.models import Operation, Site, Suspension
from queueapp.operations import sites


def _retry(pk: int) -> tuple[Act, str]:
    row, now = limits.site_named(pk), timezone.now()
    asked = sites.retry_of(row)
    others = f" There are {asked.n_sites} sites of that name, and all are meant." if asked.n_sites > 1 else ""
    text = (
        f"{counted(asked.n)} waiting for the next attempt become due, spread under the limits of the site. "
        f"Of ten or more one is tried before the rest.{others}"
    )

    def begin(actor: Actor, **asked: Any) -> Operation:
        return sites.retry(actor, row.pk, **asked)

    return halting.retry(row.name, asked.n, text, now, begin), site_page(pk)


def _suspend(pk: int) -> tuple[Act, str]:
    row = limits.site_named(pk)
    n = row.domains.count()
    text = (
        f"Mail to its {n:,} domain{'' if n == 1 else 's'} stays in the queue, safe, and nothing is sent "
        "until it is resumed. New mail is accepted and waits, too, and so does mail to domains that join it."
    )

    def halt(actor: Actor, reason: str, until: datetime | None) -> Site:
        return limits.suspend_site(actor, row.pk, reason, until)

    return halting.suspend(f"Suspend the whole site {row.name}?", text, halt), site_page(row.pk)


def _resume(pk: int) -> tuple[Act, str]:
    row = limits.site_named(pk)

    def do(actor: Actor, typed: dict[str, str]) -> str:
        return f"{limits.resume_site(actor, row.pk).name} is resumed."

    return Act(f"Resume {row.name}?", _resumed(row), "Resume", do), site_page(row.pk)


def _resumed(row: Site) -> str:
    why = f" It was suspended: {row.suspended_reason}" if row.suspended_reason else ""
    alone = row.domains.suspended(timezone.now()).count()
    stay = f" {alone:,} of its domains were suspended by themselves, and stay so." if alone else ""
    return f"Its mail goes again when it is due, at the pace that it takes.{stay}{why}"


def _lift(pk: int) -> tuple[Act, str]:
    row = limits.site_named(pk)

    def do(actor: Actor, typed: dict[str, str]) -> str:
        n = limits.lift_site(actor, row.pk)
        return f"Back-off and suspensions of {row.name} are lifted: {_due(n)}"

    text = (
        "Back-off and blocks of our addresses end now, and the mail that waited for them is due, at the pace "
        "of the site. If the receiver still refuses, it backs off again."
    )
    return Act(f"Lift what holds back mail to {row.name}?", text, "Lift now", do), site_page(row.pk)


def _lift_suspension(pk: int) -> tuple[Act, str]:
    row = Suspension.objects.select_related("site", "source").filter(pk=pk).first()
    if row is None:
        raise Missing(f"There is no suspension {pk}.")

    def do(actor: Actor, typed: dict[str, str]) -> str:
        return f"{row} is lifted: {_due(limits.lift_suspension(actor, row.pk))}"

    source = row.source.name if row.source else "the default source"
    text = f"Mail to {row.site.name} goes by {source} again. They said: {row.reply or row.reply_class}"
    return Act(f"Use {source} at {row.site.name} again?", text, "Lift now", do), site_page(row.site_id)


def _limits(pk: int) -> tuple[Act, str]:
    row, current = limits.site_named(pk), conf.current()

    def do(actor: Actor, typed: dict[str, str]) -> str:
        changes = {name: number(name, typed[name]) for name in ("max_sessions", "max_mails")}
        limits.set_site_limits(actor, row.pk, {**changes, "rate": typed["rate"] or None})
        return f"The limits of {row.name} are set."

    rate = f"Such as 600/m or 10/s; none: no limit. Empty: {current.site_rate or 'none'}, as set."
    sessions, mails = (f"Empty: {n}, as set." for n in (current.site_sessions, current.session_mails))
    fields = (
        Field("max_sessions", "Sessions at once", _text(row.max_sessions), sessions),
        Field("max_mails", "Mails by one session", _text(row.max_mails), mails),
        Field("rate", "Rate", row.rate, rate),
    )
    text = "They hold for all runners together, which follow within 5 seconds."
    return Act(f"Limits of {row.name}", text, "Set limits", do, fields), site_page(row.pk)


def _due(n: int) -> str:
    return f"{n:,} {'delivery is' if n == 1 else 'deliveries are'} due now."


def _text(value: int | None) -> str:
    return "" if value is None else str(value)


retry, suspend, resume = act_view(_retry), act_view(_suspend), act_view(_resume)
lift, lift_suspension, set_limits = act_view(_lift), act_view(_lift_suspension), act_view(_limits)
