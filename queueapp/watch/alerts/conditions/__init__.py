"""All conditions by name. Each looks at facts.py and yields what it saw; none stores or tells anything."""

from __future__ import annotations

from queueapp.watch.alerts.conditions import machine, queue, receivers, reputation, search, shares
from queueapp.watch.alerts.seen import Condition

BY_NAME: dict[str, Condition] = {
    condition.name: condition
    for module in (queue, shares, receivers, search, machine, reputation)
    for condition in module.CONDITIONS
}
