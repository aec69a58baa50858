"""Try a rule over the last day before it counts (engine/rules: trial.py, flood_trial.py): nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from queueapp.access.change import Actor, Wrong, allow
from queueapp.access.rule_values import checked
from queueapp.access.rules import named
from queueapp.engine.rules import flood_trial, ruleset, trial
from queueapp.models import BackoffRule, RuleCondition


def tried(actor: Actor, values: Mapping[str, Any], pk: int | None = None) -> trial.Trial:
    """A new rule, or one that is there with these changes. Raises AccessError."""
    allow(actor, "admin", "rule.try", str(values.get("name", pk or ""))[:255])
    row = named(pk) if pk else BackoffRule()
    if not row.name and not values.get("name"):
        row.name = "a rule without a name yet"
    checked(row, values)
    if row.condition == RuleCondition.LISTING:
        raise Wrong(
            "condition", "A rule about a listing reads what lists say: there is nothing to try it on."
        )
    by = flood_trial if row.condition == RuleCondition.FLOOD else trial
    return by.of(ruleset.of(row))
