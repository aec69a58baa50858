"""Lift what a rule does, before its time: audited, and what waited for it goes slice by slice."""

from __future__ import annotations

from django.utils import timezone

from queueapp.access.change import Actor, Missing, Taken, change, known
from queueapp.engine.rules import effects, resuming
from queueapp.kick import kick
from queueapp.models import Effect, RuleAction

_RESUMES = (RuleAction.SUSPEND, RuleAction.OTHER_SOURCE, RuleAction.SLOW)


def lift(actor: Actor, pk: int) -> int:
    """The effect is over. Returns how many deliveries are due by that; mail that was held stays held.
    Raises AccessError."""
    with change(actor, "operate", "effect.lift", f"effect {pk}") as detail:
        row = Effect.objects.select_for_update(of=("self",)).filter(pk=known(pk)).first()
        if row is None:
            raise Missing(f"There is no effect {pk}.")
        detail |= {"target": str(row)[:255], "rule": row.rule_name, "reply": row.reply}
        now, n = timezone.now(), 0
        if not row.is_open(now) or not effects.end(row, now, actor.name):
            raise Taken(f"It is over already: {row}.")
        if row.site_id and row.action in _RESUMES:
            n = resuming.begin(row.site_id, row.since)
        kick()
        detail["n"] = n
    return n
