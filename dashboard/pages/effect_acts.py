"""Lift what a rule does; delete or release what it has held (access/effects.py, operations/actions.py)."""

from __future__ import annotations

from collections.abc import Callable

from django.urls import reverse
from django.utils import timezone

from dashboard.pages.acts import Act, Field, act_view, number
from dashboard.snapshot import effects as shown
from queueapp.access import effects
from queueapp.access.change import Actor, Missing, Wrong
from queueapp.grammar import GrammarError
from queueapp.models import HOLDS, Delivery, Effect
from queueapp.operations import actions as operations


def _named(pk: int) -> Effect:
    row = Effect.objects.select_related("rule", "site", "source", "domain").filter(pk=pk).first()
    if row is None:
        raise Missing(f"There is no effect {pk}.")
    return row


def _lift(pk: int) -> tuple[Act, str]:
    row = _named(pk)

    def do(actor: Actor, typed: dict[str, str]) -> str:
        n = effects.lift(actor, row.pk)
        if row.action in HOLDS:
            return f"{row.label} may send again. What is held stays held: release or delete it."
        return (
            f"Lifted: {n:,} {'delivery is' if n == 1 else 'deliveries are'} due now, more follow by and by."
        )

    if row.action in HOLDS:
        text = "What comes in from now on goes out. What is held stays so: release or delete it apart."
    else:
        text = "A few mails go first, then more and more. If the receiver still refuses, the rule acts again."
    said = f" They said: {row.reply}" if row.reply else ""
    sentence = shown.sentence(row)
    return Act(f"Lift it: {sentence}?", f"{text}{said}", "Lift now", do), reverse("rules")


def _with_held(action: str, verb: str, what_follows: str) -> Callable[[int], tuple[Act, str]]:
    def make(pk: int) -> tuple[Act, str]:
        row, now = _named(pk), timezone.now()
        told = shown.one(row, now)
        if not told["q"]:
            raise Missing(f"The effect {pk} holds no mail.")
        n = Delivery.objects.matching(told["q"], now).count()

        def do(actor: Actor, typed: dict[str, str]) -> str:
            expect = number("expect", typed["expect"])
            try:
                made = operations.create(
                    actor, action, q=told["q"], expect=expect, reason=typed["reason"], seen=typed["seen"]
                )
            except GrammarError as error:
                raise Wrong("q", str(error)) from None
            return f"Operation {made.pk}: {verb.lower()} {made.n_matched:,} deliveries."

        fields = (
            Field("reason", "Reason", f"{row.rule_name}: {row.label}"[:200], "Kept in the audit."),
            Field("expect", "", str(n), type="hidden"),
            Field("seen", "", operations.seen_now(now), type="hidden"),
        )
        title = f"{verb} {n:,} held {'delivery' if n == 1 else 'deliveries'} of {row.label}?"
        return Act(title, what_follows, f"{verb} {n:,}", do, fields), reverse("rules")

    return make


lift = act_view(_lift)
delete_held = act_view(
    _with_held("delete", "Delete", "It goes into the bin: for 24 hours it can be restored, then it is gone.")
)
release_held = act_view(
    _with_held("release", "Release", "It is sent, spread under the limits of each site, as any mail is.")
)
