"""What all rules see now: each condition at its own pace, so that rules cost little at any size.

Promises: a condition that took long is looked at less often (at most once a minute), and its last answer
holds meanwhile: all rules together cost less than a second of processor time a minute. A condition that fails
for a reason of its own tells nothing, and what it told before stays as it was; one that can't reach the
database raises, for then nobody can look. What a search does not tell in time is not known: nothing is told
of it, what was told before stays, and the rule says since when it is so (`blind_since`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.db import DatabaseError

from queueapp.models import AlertRule
from queueapp.models.alert import matches
from queueapp.watch.alerts.conditions import BY_NAME
from queueapp.watch.alerts.facts import MOST, Facts
from queueapp.watch.alerts.searches import Unknown
from queueapp.watch.alerts.seen import Seen

SHARE = 300
"""One look of a rule is followed by so many times as long without one."""
LONGEST = 60.0
SEARCHES_SHARE = 100
"""After a count by a search none is made for so many times as long: all take half a second a minute."""
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
        self._searches_at = 0.0

    def all(
        self, rules: Collection[AlertRule], facts: Facts, at: float
    ) -> tuple[dict[tuple[int, str], Seen], set[int]]:
        """({(rule, key): what it sees}, the rules that could not look). `at`: monotonic seconds."""
        found: dict[tuple[int, str], Seen] = {}
        blind: set[int] = set()
        lasts = {rule.pk: self._last.setdefault(rule.pk, _Last()) for rule in rules}
        # The longest due first: searches wait for one another.
        for rule in sorted(rules, key=lambda rule: lasts[rule.pk].due_at):
            last = lasts[rule.pk]
            if at >= last.due_at or last.changed_at != rule.changed_at:
                self._look(rule, facts, last, at)
            if last.has_failed:
                blind.add(rule.pk)
            for seen in last.seen:
                found.setdefault((rule.pk, seen.key), seen)
        return found, blind

    def _look(self, rule: AlertRule, facts: Facts, last: _Last, at: float) -> None:
        condition = BY_NAME.get(rule.condition)
        is_search = condition is not None and condition.has_search
        if is_search and at < self._searches_at:
            if last.changed_at != rule.changed_at:
                last.seen, last.has_failed = [], True
            return
        began, wall = time.thread_time(), time.monotonic()
        had_failed, last.has_failed, last.changed_at = last.has_failed, False, rule.changed_at
        try:
            found = condition.look(rule, facts) if condition is not None else ()
            last.seen = wanted(rule, found)
        except DatabaseError:
            raise
        except Unknown:
            last.has_failed = True
        except Exception:
            if not had_failed:
                log.exception("the alert rule %r can't be looked at", rule.name)
            last.has_failed = True
        if last.has_failed:
            last.seen = []
        if last.has_failed != (rule.blind_since is not None):
            since = facts.now if last.has_failed else None
            AlertRule.objects.filter(pk=rule.pk).update(blind_since=since)
        if is_search:
            # By the clock, for the database works meanwhile.
            self._searches_at = at + SEARCHES_SHARE * (time.monotonic() - wall)
        pause = max(condition.every if condition else LONGEST, SHARE * (time.thread_time() - began))
        # Somewhat less than the pace of the rounds, which has some jitter.
        last.due_at = at + 0.8 * min(LONGEST, pause)


def wanted(rule: AlertRule, found: Iterable[Seen]) -> list[Seen]:
    """Those that the rule is about, MOST at most."""
    if not rule.only:
        return list(found)[:MOST]
    return [seen for seen in found if _is_named(rule.only, seen)][:MOST]


def _is_named(only: str, seen: Seen) -> bool:
    return any(matches(only, each) for each in (seen.label, seen.key, seen.key.partition(":")[2]))
