"""What a rule would see now, before it counts: for the form, the API and the command. Reads, tells nobody.

Rules over the machine itself are not tried: they would have to write and to call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from queueapp.access.alert_rules import drafted
from queueapp.access.change import Actor, allow
from queueapp.watch.alerts import looking, searches
from queueapp.watch.alerts.conditions import BY_NAME, machine
from queueapp.watch.alerts.facts import Facts
from queueapp.watch.alerts.seen import Seen

SHOWN = 10
_UNTRIED = {condition.name for condition in machine.CONDITIONS}


@dataclass(frozen=True, slots=True)
class Tried:
    """`holds` None: nobody knows (`why`). Of a search `n` deliveries match, or more than that (`is_cut`)."""

    holds: bool | None
    n_things: int = 0
    things: tuple[Seen, ...] = ()
    query: str = ""
    n: int | None = None
    is_cut: bool = False
    why: str = ""


def tried(actor: Actor, values: dict[str, Any]) -> Tried:
    """As drafted() takes them, with or without a name. Raises NotAllowed, Wrong, GrammarError."""
    allow(actor, "admin", "alert_rule.try", str(values.get("name", ""))[:255])
    rule = drafted({**values, "name": values.get("name") or "tried", "is_enabled": False})
    facts = Facts(timezone.now())
    if BY_NAME[rule.condition].has_search:
        found = searches.counted(searches.checked(rule.query), rule.threshold or 0, facts.now)
        why = "" if found.n is not None else "Its search can't be counted in time."
        return Tried(
            found.is_above(rule.threshold or 0), query=rule.query, n=found.n, is_cut=found.is_cut, why=why
        )
    if rule.condition in _UNTRIED:
        return Tried(None, why="What it looks at is looked at by the watch alone.")
    seen = looking.wanted(rule, BY_NAME[rule.condition].look(rule, facts))
    return Tried(bool(seen), len(seen), tuple(seen[:SHOWN]))
