"""What outcomes say of the receiver, and of the address that we came from: more sessions or fewer,
a back-off of the site, a suspension of the source at the site.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from django.db import DatabaseError
from django.utils import timezone

from queueapp.engine import backoff, suspensions
from queueapp.engine.claim import Claimed
from queueapp.engine.outcome import Result
from queueapp.engine.rules import effects
from queueapp.engine.rules.effects import Target
from queueapp.engine.rules.ruleset import Rule
from queueapp.engine.rules.watching import cause_of
from queueapp.engine.sites import Group, SiteWork
from queueapp.engine.sources import Block
from queueapp.models import RuleAction
from queueapp.transports.base import Outcome

if TYPE_CHECKING:
    from queueapp.engine.delivering import Door
    from queueapp.engine.staffing import Staffing

# Between sessions that can't be opened a group is put back this often before it is deferred.
MAX_RESTARTS = 3
# Dots without an answer, and nothing delivered in between, after which a site is left alone for a while.
MAX_UNANSWERED = 2
log = logging.getLogger(__name__)


async def feed_back(runner: Staffing, site: SiteWork, outcomes: list[Outcome]) -> None:
    """More sessions while it goes well, fewer when the receiver says it has enough of them."""
    if any(outcome.result == "delivered" for outcome in outcomes):
        site.went_well()
        site.n_unanswered = 0
        if site.plan.n_failures:
            site.plan = replace(site.plan, n_failures=0)
            try:
                await runner.in_db(partial(backoff.end, site.plan.site_id))
            except DatabaseError as error:
                log.warning("the end of the back-off of %s is not stored: %s", site.plan.site_name, error)
            runner.router.forget_site(site.plan.site_id)
    elif unanswered := [outcome for outcome in outcomes if outcome.is_ambiguous]:
        site.went_badly()
        site.n_unanswered += 1
        if site.n_unanswered >= MAX_UNANSWERED:
            # Whoever takes mail and does not say so would get all that waits twice.
            await _back_off(runner, site, replace(unanswered[0], is_ambiguous=False))
    elif any(outcome.reply_class in ("busy", "connection") for outcome in outcomes):
        site.went_badly()
    elif (named := _named_time(runner, site, outcomes)) is not None:
        await _back_off(runner, site, named)


def _named_time(runner: Staffing, site: SiteWork, outcomes: list[Outcome]) -> Outcome | None:
    """A reply that is about us and names a time: it holds for all our mail to the site."""
    name, rules = site.plan.site_name, runner.watch.rules
    about_us = [
        each for each in outcomes if each.reply_class == "rate_limited" and not rules.is_block(each, name)
    ]
    return next((each for each in about_us if each.retry_in), None)


async def suspend(
    runner: Staffing, site: SiteWork, door: Door, outcome: Outcome, rule: Rule
) -> datetime | None:
    """By this rule nothing more goes this way. Returns until when; None: it may where there is no other."""
    site_id, source = site.plan.site_id, door.source
    until = timezone.now() + (rule.lasts or suspensions.FIRST)
    target = Target(rule.scope, site_id=site_id, source_id=source.pk)
    try:
        effect, _ = await runner.in_db(partial(effects.begin, rule, target, cause_of(outcome)))
        until = effect.until or until
    except DatabaseError as error:
        log.warning("the suspension of %s at %s is not stored: %s", source.name, site.plan.site_name, error)
    is_soft = rule.action == RuleAction.OTHER_SOURCE
    runner.book.blocks[source.pk, site_id] = Block(until, outcome.reply_class, outcome.reply, is_soft)
    return None if is_soft else until


def settle_blocked(
    runner: Staffing,
    site: SiteWork,
    pairs: list[tuple[Claimed, Outcome]],
    began: float,
    *,
    has_other: bool,
    until: datetime | None,
) -> None:
    """What was turned away goes by another source at once, whatever the reply's first digit. Where there
    is none, a permanent reply is final for its delivery; a temporary one waits until the block is over."""
    now, took_ms = timezone.now(), int((time.monotonic() - began) * 1000)
    results = []
    for row, outcome in pairs:
        result = Result(row, outcome, now, took_ms)
        if runner.watch.rules.is_block(outcome, site.plan.site_name):
            if has_other:
                result.outcome, result.is_at_once = replace(outcome, result="deferred"), True
            elif outcome.result == "deferred" and until is not None:
                result.not_before = runner.spread(until)
        results.append(result)
    runner.hands.settle(results)


async def cannot_open(runner: Staffing, site: SiteWork, door: Door, group: Group, outcome: Outcome) -> None:
    """Other sessions of the site go on: leave it to them. None does: the site backs off.

    Never a bounce: a server that turns away a connection, even for good, said nothing of this mail.
    """
    outcome = replace(outcome, result="deferred")
    block = runner.watch.rules.first_block([outcome], site.plan.site_name)
    if block:
        until = await suspend(runner, site, door, *block)
        has_other = runner.book.has_other(site.pool, site.plan.site_id, door.source, runner.warmups.left)
        pairs = [(row, outcome) for row in group.rows]
        settle_blocked(runner, site, pairs, time.monotonic(), has_other=has_other, until=until)
        return
    runner.watch.note(site.plan.site_id, site.plan.site_name, door.source.pk, [(group.rows[0], outcome)])
    if site.n_sessions > 1 and group.n_restarts < MAX_RESTARTS:
        group.n_restarts += 1
        site.add(group, first=True)
        site.went_badly()
        return
    now = timezone.now()
    runner.hands.settle([Result(row, outcome, now) for row in group.rows])
    await _back_off(runner, site, outcome)


async def _back_off(runner: Staffing, site: SiteWork, outcome: Outcome) -> None:
    """Nothing goes to the site for a while; what waits here gets the cause."""
    waiting = site.take_all()
    try:
        until = await runner.in_db(partial(backoff.begin, site.plan.site_id, outcome))
    except DatabaseError as error:
        log.warning("the back-off of %s is not stored: %s", site.plan.site_name, error)
        for group in waiting:
            site.add(group)
        return
    site.n_unanswered = 0
    runner.router.forget_site(site.plan.site_id)
    rest = [row for group in [*waiting, *site.take_all()] for row in group.rows]
    if rest:
        runner.set_aside(rest, replace(outcome, rule="site-backoff"), until)
