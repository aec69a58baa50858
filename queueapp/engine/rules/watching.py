"""A runner watches what receivers say, by rules: what counts is noted in memory and told within a second.

Promises: a delivery costs nothing here. What is noted is bounded: one entry for each rule and target, MOST of
them; more than that in a second is dropped, and logged. A rule that acts at once is told at once. What can't
be told, because the database is away, is told with the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Protocol

from django.db import DatabaseError

from queueapp.engine.claim import Claimed
from queueapp.engine.rules import counting, ruleset
from queueapp.engine.rules.counting import Hit
from queueapp.engine.rules.effects import Target
from queueapp.engine.rules.ruleset import Rule, RuleSet
from queueapp.engine.suspensions import Cause
from queueapp.models import RuleAction, RuleScope
from queueapp.transports.base import Outcome

MOST = 1000
EVERY = 1.0
log = logging.getLogger(__name__)


class Asker(Protocol):
    """The runner, as it is told of effects."""

    async def limits_changed(self) -> None: ...

    async def sources_changed(self) -> None: ...


class Watch:
    """`in_db` runs a function where the database may be used."""

    def __init__(self, in_db: Callable[[Callable[[], Any]], Awaitable[Any]], asker: Asker) -> None:
        self._in_db, self._asker = in_db, asker
        self.rules = RuleSet(ruleset.of_file())
        self._noted: dict[tuple[str, str, int], Hit] = {}
        self._is_urgent = asyncio.Event()
        self._is_any = asyncio.Event()

    async def load(self) -> None:
        """The rules as they are now. Raises DatabaseError."""
        self.rules = await self._in_db(ruleset.load)

    def note(self, site_id: int, site: str, source_id: int, pairs: Iterable[tuple[Claimed, Outcome]]) -> None:
        """What came of one transaction, or of a session that could not be opened."""
        seen: set[tuple[str, str, int]] = set()
        for row, outcome in pairs:
            if outcome.code is None or outcome.result == "delivered":
                continue
            rule = self.rules.decide(outcome, site)
            if rule is None or rule.stops_pair:
                continue
            if rule.scope == RuleScope.SENDER and not row.sender:
                continue  # reports of ours
            target = _target(rule, row, site_id, source_id)
            key = (rule.name, target.key, row.message_id if rule.asks_message else 0)
            # One reply to several recipients is one.
            if key in seen and outcome.stage != "rcpt":
                continue
            seen.add(key)
            self._add(key, Hit(rule, target, cause_of(outcome), 1, row.message_id))

    def _add(self, key: tuple[str, str, int], hit: Hit) -> None:
        known = self._noted.get(key)
        if known is not None:
            known.n += hit.n
        elif len(self._noted) < MOST:
            self._noted[key] = hit
        else:
            log.warning("more than %d targets of rules in a second: %s is not counted", MOST, key[1][:100])
        self._is_any.set()
        if hit.rule.is_at_once:
            self._is_urgent.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._is_any.wait()
            try:
                async with asyncio.timeout(EVERY):
                    await self._is_urgent.wait()
            except TimeoutError:
                pass
            try:
                await self.tell()
            except Exception:
                log.exception("what rules saw is not told")
                await asyncio.sleep(EVERY)

    async def tell(self) -> None:
        """Tell what was noted, and take over what began."""
        hits, self._noted = list(self._noted.values()), {}
        self._is_any.clear()
        self._is_urgent.clear()
        if not hits:
            return
        try:
            begun = await self._in_db(partial(counting.tell, hits))
        except DatabaseError as error:
            log.warning("what rules saw is told later: %s", error)
            for hit in hits:
                key = (hit.rule.name, hit.target.key, hit.message_id if hit.rule.asks_message else 0)
                self._add(key, hit)
            await asyncio.sleep(EVERY)
            return
        if any(effect.action == RuleAction.SLOW for effect in begun):
            await self._asker.limits_changed()
        elif begun:
            await self._asker.sources_changed()


def cause_of(outcome: Outcome) -> Cause:
    return Cause(outcome.reply_class, outcome.reply, outcome.retry_in)


def _target(rule: Rule, row: Claimed, site_id: int, source_id: int) -> Target:
    if rule.scope == RuleScope.PAIR:
        return Target(rule.scope, site_id=site_id, source_id=source_id)
    if rule.scope == RuleScope.SITE:
        return Target(rule.scope, site_id=site_id)
    if rule.scope == RuleScope.DOMAIN:
        return Target(rule.scope, domain_id=row.domain_id)
    return Target(rule.scope, value=row.sender if rule.scope == RuleScope.SENDER else "")
