"""One session of a site: take a group, send it, hand the outcomes on, until nothing waits.

The journal gets a line before each final dot and another after its reply. A session that was
kept and turns out to be closed is replaced without counting as a failure; a site that can't
be reached at all, or takes mail without an answer, backs off, and what waits for it is deferred with
the cause.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from django.db import DatabaseError
from django.utils import timezone

from queueapp.engine import backoff
from queueapp.engine.claim import Claimed
from queueapp.engine.outcome import Result
from queueapp.engine.routing import NoWay, Plan
from queueapp.engine.signing import CannotSign
from queueapp.engine.sites import Group, SiteWork
from queueapp.engine.trust import plan_of, was_distrust
from queueapp.mail.reply import clean
from queueapp.models import TlsDemand
from queueapp.transports.base import Envelope, Outcome, SessionFailed
from queueapp.transports.smtp.client import Session

if TYPE_CHECKING:
    from queueapp.engine.runner import QueueRunner

# Between sessions that can't be opened a group is put back this often before it is deferred.
_MAX_RESTARTS = 3
# Dots without an answer, and nothing delivered in between, after which a site is left alone for a while.
_MAX_UNANSWERED = 2
log = logging.getLogger(__name__)


async def deliver(runner: QueueRunner, site: SiteWork) -> None:
    """Runs as a task of the runner; ends when the site has no more work for it."""
    session: Session | None = None
    # A session keeps the plan that it was opened by: under a newer one's key it would be lent to others.
    plan = current = site.plan
    try:
        while not runner.stopping and (group := site.take()):
            try:
                at_hand, session = session, None
                wanted = plan_of(plan, group.trust)
                if at_hand and wanted is not current:
                    runner.pool.put(current.key, at_hand)
                    at_hand = None
                current = wanted
                session = await _usable(runner, at_hand, current, is_new=group.n_restarts > 0)
                async with runner.hands.body(group.message_id, group.rows[0].size) as content:
                    await _hand_over(runner, site, session, group, content)
            except SessionFailed as error:
                if not await was_distrust(runner, site, group, error.outcome):
                    await _cannot_open(runner, site, group, error.outcome)
                    break
            except DatabaseError as error:
                log.warning("message %d can't be read yet: %s", group.message_id, error)
                site.add(group, first=True)
                await asyncio.sleep(1)
            except CannotSign as error:
                log.error("message %d waits: %s", group.message_id, error)
                _settle(runner, [(row, _unsigned(error)) for row in group.rows], time.monotonic())
            except Exception as error:
                log.exception("message %d could not be handed over", group.message_id)
                _settle_unforeseen(runner, group, error)
            runner.staff(site)
            if site.n_unanswered:
                break
    finally:
        if session is not None:
            runner.pool.put(current.key, session)
        runner.session_ended(site)


async def _usable(runner: QueueRunner, session: Session | None, plan: Plan, *, is_new: bool) -> Session:
    """The session at hand, a kept one, or a new one; only such if a kept one has failed this mail.

    Raises SessionFailed; the one at hand is in the pool then.
    """
    if session is not None:
        if session.is_usable and not (is_new and session.n_sent):
            return session
        runner.pool.put(plan.key, session)
    return (None if is_new else runner.pool.take(plan.key)) or await connect(runner, plan)


async def _hand_over(
    runner: QueueRunner, site: SiteWork, session: Session, group: Group, content: bytes | None
) -> None:
    is_kept, began = session.n_sent > 0, time.monotonic()
    if content is None:
        _settle(runner, [(row, _without_body()) for row in group.rows], began)
        return
    outcomes = await _send(runner, session, group, content)
    if is_kept and _was_closed_meanwhile(outcomes) and group.n_restarts < _MAX_RESTARTS:
        group.n_restarts += 1
        site.add(group, first=True)
        return
    done, rest = _without_surplus(group, outcomes)
    if rest:
        site.add(rest, first=True)
    _settle(runner, done, began)
    await _feed_back(runner, site, outcomes)


async def connect(runner: QueueRunner, plan: Plan) -> Session:
    """To the first host of the plan that lets us. Raises SessionFailed with the last one's outcome."""
    failed: Outcome | None = None
    for endpoint in plan.endpoints:
        try:
            if plan.site_key.startswith("mx:"):
                endpoint = replace(endpoint, addresses=await runner.router.addresses(endpoint.host))
            return await Session.open(endpoint, plan.options)
        except NoWay as error:
            failed = failed or error.outcome
        except SessionFailed as error:
            failed = error.outcome
    raise SessionFailed(failed or Outcome(result="deferred", reply_class="dns", text="no host to try"))


async def _send(runner: QueueRunner, session: Session, group: Group, content: bytes) -> list[Outcome]:
    """Outcomes by row. The journal knows of the dot before the receiver does."""
    claims = [(row.id, row.n_attempts) for row in group.rows]
    dotted: list[int] = []

    def before_dot(indexes: list[int]) -> None:
        runner.journal.before_dot([claims[index] for index in indexes])
        dotted.extend(indexes)

    envelope = Envelope(
        sender=group.sender,
        recipients=tuple(row.recipient for row in group.rows),
        content=content,
        needs_utf8=group.rows[0].needs_utf8,
        is_8bit=group.rows[0].is_8bit,
        requires_tls=group.rows[0].tls_demand == TlsDemand.REQUIRED,
    )
    try:
        outcomes = await session.send(envelope, before_dot)
    except OSError as error:
        outcomes = [_no_journal(error)] * len(group.rows)
    if dotted and not any(outcomes[index].is_ambiguous for index in dotted):
        _note_replies(runner, claims, outcomes, dotted)
    return outcomes


def _without_surplus(
    group: Group, outcomes: list[Outcome]
) -> tuple[list[tuple[Claimed, Outcome]], Group | None]:
    """Rows with their outcomes, and a group of those that only wait for a transaction of their own
    (RFC 5321 section 4.5.3.1.10). Where all of them do, the receiver means something else."""
    pairs = list(zip(group.rows, outcomes, strict=True))
    surplus = [row for row, outcome in pairs if _is_surplus(outcome)]
    if not surplus or len(surplus) == len(pairs):
        return pairs, None
    rest = Group(group.message_id, group.sender, group.priority, surplus, trust=group.trust)
    return [pair for pair in pairs if not _is_surplus(pair[1])], rest


def _is_surplus(outcome: Outcome) -> bool:
    is_full = outcome.enhanced == "4.5.3" or (
        outcome.code == 452 and "too many recipients" in outcome.text.lower()
    )
    return is_full and outcome.stage == "rcpt"


def _note_replies(
    runner: QueueRunner, claims: list[tuple[int, int]], outcomes: list[Outcome], dotted: list[int]
) -> None:
    try:
        runner.journal.replied(
            [claims[index] for index in dotted], [outcomes[index] for index in dotted], timezone.now()
        )
    except OSError as error:
        # The outcome goes to the database as well; only a crash right now would call it ambiguous.
        log.error("a reply is not in the journal: %s", error)


def _settle(runner: QueueRunner, pairs: list[tuple[Claimed, Outcome]], began: float) -> None:
    now = timezone.now()
    took_ms = int((time.monotonic() - began) * 1000)
    runner.hands.settle([Result(row, outcome, now, took_ms) for row, outcome in pairs])


async def _feed_back(runner: QueueRunner, site: SiteWork, outcomes: list[Outcome]) -> None:
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
        if site.n_unanswered >= _MAX_UNANSWERED:
            # Whoever takes mail and does not say so would get all that waits twice.
            await _back_off(runner, site, replace(unanswered[0], is_ambiguous=False))
    elif any(outcome.reply_class in ("busy", "connection") for outcome in outcomes):
        site.went_badly()


async def _cannot_open(runner: QueueRunner, site: SiteWork, group: Group, outcome: Outcome) -> None:
    """Other sessions of the site go on: leave it to them. None does: the site backs off.

    Never a bounce: a server that turns away a connection, even for good, said nothing of this mail.
    """
    outcome = replace(outcome, result="deferred")
    if site.n_sessions > 1 and group.n_restarts < _MAX_RESTARTS:
        group.n_restarts += 1
        site.add(group, first=True)
        site.went_badly()
        return
    now = timezone.now()
    runner.hands.settle([Result(row, outcome, now) for row in group.rows])
    await _back_off(runner, site, outcome)


async def _back_off(runner: QueueRunner, site: SiteWork, outcome: Outcome) -> None:
    """The site gets nothing for a while; what waits for it is deferred with the cause."""
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


def _was_closed_meanwhile(outcomes: list[Outcome]) -> bool:
    """A kept session that the other side had closed, in silence or with a last 421: our mail crossed
    with that, and was not looked at."""
    return all(
        outcome.stage == "mail"
        and (outcome.reply_class == "connection" or (outcome.code == 421 and outcome.reply_class == "busy"))
        and outcome.code in (None, 421)
        for outcome in outcomes
    )


def _settle_unforeseen(runner: QueueRunner, group: Group, error: Exception) -> None:
    """Our own fault: seen by whoever looks at the delivery, tried again by the schedule, never lost."""
    rows = [row for row in group.rows if runner.hands.holds(row)]
    text = clean(f"Mailweir itself failed: {type(error).__name__}: {error}", 1000)
    for row in rows:
        is_ambiguous = runner.journal.is_open((row.id, row.n_attempts))
        outcome = Outcome("deferred", "other", text=text, rule="internal", is_ambiguous=is_ambiguous)
        _settle(runner, [(row, outcome)], time.monotonic())


def _without_body() -> Outcome:
    return Outcome(result="bounced", reply_class="other", text="the message's source is gone", rule="no-body")


def _unsigned(error: CannotSign) -> Outcome:
    """Rather late than without the signature that receivers of this domain's mail may insist on."""
    return Outcome("deferred", "other", text=clean(str(error), 1000), rule="signing")


def _no_journal(error: OSError) -> Outcome:
    return Outcome(
        result="deferred", reply_class="other", text=f"the journal can't be written: {error}", rule="journal"
    )
