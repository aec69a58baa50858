"""What all rules see now: each condition at its own pace, so that rules cost little at any size.

Promises: a condition that took long is looked at less often (at most once a minute), and its last answer
holds meanwhile: all rules together cost less than a second of processor time a minute. A condition that fails
for a reason of its own tells nothing, and what it told before stays as it was; one that can't reach the
database raises, for then nobody can look.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db import DatabaseError

from queueapp.models import AlertRule
from queueapp.models.alert import matches
from queueapp.watch.alerts.conditions import BY_NAME
from queueapp.watch.alerts.facts import MOST, Facts
from queueapp.watch.alerts.seen import Seen

SHARE = 300
"""One look of a rule is followed by so many times as long without one."""
LONGEST = 60.0
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Last:
    due_at: float = 0.0
    changed_at: object = None
    seen: list[Seen] = field(default_factory=list)
    has_failed: bool = False


class Looking:
    """Remembers the last look of each rule; one of it a process."""

    def __init__(self) -> None:
        self._last: dict[int, _Last] = {}

    def all(
        self, rules: Iterable[AlertRule], facts: Facts, at: float
    ) -> tuple[dict[tuple[int, str], Seen], set[int]]:
        """({(rule, key): what it sees}, the rules that could not look). `at`: monotonic seconds."""
        found: dict[tuple[int, str], Seen] = {}
        blind: set[int] = set()
        for rule in rules:
            last = self._last.setdefault(rule.pk, _Last())
            if at >= last.due_at or last.changed_at != rule.changed_at:
                self._look(rule, facts, last, at)
            if last.has_failed:
                blind.add(rule.pk)
            for seen in last.seen:
                found.setdefault((rule.pk, seen.key), seen)
        return found, blind

    def _look(self, rule: AlertRule, facts: Facts, last: _Last, at: float) -> None:
        condition = BY_NAME.get(rule.condition)
        began = time.thread_time()
        last.seen, last.changed_at = [], rule.changed_at
        try:
            if condition is not None:
                last.seen = [seen for seen in condition.look(rule, facts) if _is_wanted(rule, seen)][:MOST]
            last.has_failed = False
        except DatabaseError:
            raise
        except Exception:
            if not last.has_failed:
                log.exception("the alert rule %r can't be looked at", rule.name)
            last.has_failed = True
        pause = max(condition.every if condition else LONGEST, SHARE * (time.thread_time() - began))
        # Somewhat less than the pace of the rounds, which has some jitter.
        last.due_at = at + 0.8 * min(LONGEST, pause)


def _is_wanted(rule: AlertRule, seen: Seen) -> bool:
    if not rule.only:
        return True
    return any(matches(rule.only, each) for each in (seen.label, seen.key, seen.key.partition(":")[2]))
