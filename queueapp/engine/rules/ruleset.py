"""The rules as a runner keeps them in memory: which one decides on an outcome.

Pure but for `load`. Only what a receiver said counts: an outcome without a reply code is our own finding
(a back-off, a suspension, a limit, a suppression, a fault of ours, a connection that did not come about),
and none of it ever sets a rule off. The first rule that matches, in their order, decides.

Promises: a delivery costs nothing; of any other outcome the answer is remembered by its reply. A rule that
was shipped with this version counts although its row is not written yet (shipped.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from queueapp.engine.rules import shipped, wording
from queueapp.models import BackoffRule, RuleAction, RuleCondition, RuleScope
from queueapp.transports.base import Outcome

_MOST_REMEMBERED = 4096
_PAIR_STOPS = (RuleAction.SUSPEND, RuleAction.OTHER_SOURCE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to match. `pk` 0 and a `key`: shipped, and not in the database yet."""

    pk: int
    key: str
    name: str
    scope: str
    action: str
    classes: frozenset[str] = frozenset()
    texts: tuple[wording.Parts, ...] = ()
    codes: tuple[str, ...] = ()
    lines: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    n_hits: int = 1
    per: timedelta = timedelta(hours=1)
    factor: float = 5.0
    rate: str = ""
    share: int | None = None
    lasts: timedelta | None = timedelta(minutes=15)
    growth: float = 2.0
    cap: timedelta = timedelta(hours=12)
    condition: str = RuleCondition.REPLY
    position: int = 100

    @property
    def is_at_once(self) -> bool:
        return self.n_hits <= 1

    @property
    def stops_pair(self) -> bool:
        """Turns mail away from a source while the session is still open."""
        return self.scope == RuleScope.PAIR and self.action in _PAIR_STOPS and self.is_at_once

    @property
    def asks_message(self) -> bool:
        """Whether its scope is not known from a claim."""
        return self.scope in (RuleScope.CAMPAIGN, RuleScope.LOGIN)

    def is_at(self, site: str) -> bool:
        """Whether it is for that site, by its name."""
        name = site.lower()
        return not self.sites or any(name == each or name.endswith(f".{each}") for each in self.sites)

    def matches(self, outcome: Outcome, text: str, site: str) -> bool:
        """`text`: the reply in small letters, without addresses; `site`: the name of the site."""
        if not self.is_at(site):
            return False
        if self.classes and outcome.reply_class not in self.classes:
            return False
        if self.lines and outcome.rule not in self.lines:
            return False
        if self.codes and not wording.fits(self.codes, outcome.code or 0, outcome.enhanced):
            return False
        return not self.texts or any(wording.has(text, each) for each in self.texts)


def text_of(reply: str) -> str:
    """What texts are looked for in."""
    return wording.without_addresses(reply.lower())


def of(row: BackoffRule) -> Rule:
    """From its row. Raises WrongWording."""
    return Rule(
        pk=row.pk or 0,
        key=row.key or "",
        name=row.name,
        scope=row.scope,
        action=row.action,
        classes=frozenset(row.classes),
        texts=tuple(wording.phrase(each) for each in row.texts),
        codes=tuple(wording.code(each) for each in row.codes),
        lines=frozenset(row.lines),
        sites=frozenset(each.lower() for each in row.sites),
        n_hits=row.n_hits,
        per=row.per,
        factor=row.factor,
        rate=row.rate,
        share=row.share,
        lasts=row.lasts,
        growth=row.growth,
        cap=row.cap,
        condition=row.condition,
        position=row.position,
    )


class RuleSet:
    """Enabled rules about replies, in their order."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules: Sequence[Rule] = tuple(each for each in rules if each.condition == RuleCondition.REPLY)
        self.asks_message = any(rule.asks_message for rule in self.rules)
        self._asks_site = any(rule.sites for rule in self.rules)
        self._known: dict[Any, Rule | None] = {}

    def decide(self, outcome: Outcome, site: str) -> Rule | None:
        """The rule that this outcome counts for; None for deliveries, and for what is our own finding."""
        if outcome.code is None or outcome.result == "delivered":
            return None
        place = site.lower() if self._asks_site else ""
        key = (outcome.reply_class, outcome.rule, outcome.code, outcome.enhanced, outcome.text, place)
        try:
            return self._known[key]
        except KeyError:
            pass
        text = text_of(outcome.text)
        found = next((rule for rule in self.rules if rule.matches(outcome, text, place)), None)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = found
        return found

    def is_block(self, outcome: Outcome, site: str) -> bool:
        """Whether the reply turns away the address that we came from, and not this mail or recipient."""
        rule = self.decide(outcome, site)
        return rule is not None and rule.stops_pair

    def first_block(self, outcomes: Iterable[Outcome], site: str) -> tuple[Outcome, Rule] | None:
        for outcome in outcomes:
            if outcome.code is not None and outcome.result != "delivered":
                rule = self.decide(outcome, site)
                if rule is not None and rule.stops_pair:
                    return outcome, rule
        return None


def rows() -> list[BackoffRule]:
    """All rules in their order, with those that are shipped and not in the database yet."""
    found = list(BackoffRule.objects.all())
    known = {row.key for row in found}
    found += [row for row in shipped.rows() if row.key not in known]
    return sorted(found, key=lambda row: (row.position, row.pk or 0))


def enabled(condition: str = RuleCondition.REPLY) -> list[Rule]:
    return [of(row) for row in rows() if row.is_enabled and row.condition == condition]


def load() -> RuleSet:
    return RuleSet(enabled())


@lru_cache(maxsize=1)
def of_file() -> tuple[Rule, ...]:
    """What is shipped and on, for who can't ask the database."""
    return tuple(of(row) for row in shipped.rows() if row.is_enabled)
