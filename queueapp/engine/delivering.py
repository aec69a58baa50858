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
from dataclasses import dataclass, replace
from ipaddress import ip_address
from socket import SOCK_STREAM
from typing import TYPE_CHECKING, cast

from django.db import DatabaseError
from django.utils import timezone

from queueapp.engine.ahead import Ahead, envelope_of
from queueapp.engine.claim import Claimed
from queueapp.engine.feedback import MAX_RESTARTS, cannot_open, feed_back, settle_blocked, suspend
from queueapp.engine.outcome import Result
from queueapp.engine.routing import NoWay, Plan
from queueapp.engine.session_pool import COOLING
from queueapp.engine.signing import CannotSign
from queueapp.engine.sites import Group, SiteWork
from queueapp.engine.sources import Source
from queueapp.engine.trust import plan_of, was_distrust
from queueapp.mail.reply import clean
from queueapp.transports.base import Endpoint, Envelope, Options, Outcome, SessionFailed
from queueapp.transports.smtp.client import Session

if TYPE_CHECKING:
    from queueapp.engine.staffing import Staffing

# How long a session waits for a slot of a rate that is less than a minute apart, and how often it looks.
_LATEST, _LOOK = 65.0, 0.05
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Door:
    """A session's place in its site's share: taken before anything is opened, held until it is over."""

    source: Source
    plan: Plan
    session: Session | None = None

    @property
    def options(self) -> Options:
        return self.source.options(self.plan.options)

    @property
    def key(self) -> tuple[tuple[Endpoint, ...], Options]:
        return self.plan.endpoints, self.options


async def deliver(runner: Staffing, site: SiteWork, door: Door, group: Group) -> None:
    """Runs as a task of the runner; ends when the site has no more work for it, or for this source."""
    n_groups = 0
    following: Group | None = group
    ahead: Ahead | None = None
    try:
        while following is not None:
            group, following = following, None
            ahead = Ahead(runner, site, door, group, n_groups + 1)
            try:
                await _open(runner, site, door, group)
                if group.good_until < time.monotonic():
                    site.add(group, first=True)
                    following = await _another_slot(runner, site, door)
                    continue
                async with runner.hands.body(group.message_id, group.rows[0].size) as content:
                    await _hand_over(ahead, content)
            except SessionFailed as error:
                if not await was_distrust(runner, site, group, error.outcome):
                    runner.pool.cool(site.share)
                    await cannot_open(runner, site, door, group, error.outcome)
                    break
                await asyncio.sleep(COOLING)
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
            n_groups += 1
            following = ahead.following() or runner.next_group(site, door, n_groups)
    finally:
        if ahead is not None and following is None:
            ahead.give_back()
        if door.session is not None:
            runner.pool.put(door.key, door.session, site.share)
        runner.session_ended(site)


async def _another_slot(runner: Staffing, site: SiteWork, door: Door) -> Group | None:
    """Opening took too long for what the group had of the rate: the session waits for the next slot."""
    end = time.monotonic() + _LATEST
    site.n_late += 1
    try:
        while site.n_waiting and not runner.stopping and time.monotonic() < end:
            runner.ask_slots(site)
            group = runner.next_group(site, door, 0)
            if group is not None or door.session is None or not door.session.is_usable:
                return group
            await asyncio.sleep(_LOOK)
    finally:
        site.n_late -= 1
    return None


async def _open(runner: Staffing, site: SiteWork, door: Door, group: Group) -> None:
    """A session that is usable, as the mail asks for it (trust), and new if a kept one has failed this
    mail. Raises SessionFailed."""
    await _fit(runner, site, door, plan_of(site.plan, group.trust))
    session = door.session
    if session is not None:
        is_worn = session.n_sent >= site.share.max_mails or (group.n_restarts and session.n_sent)
        if session.is_usable and not is_worn:
            return
        door.session = None
        if session.is_usable:
            await session.quit()
        else:
            session.abort()
            if site.share.n_open >= site.share.granted:
                # The receiver must see the end of this one before the next one begins.
                await asyncio.sleep(COOLING)
    door.session = await connect(runner, site, door, len(group.rows))


async def _fit(runner: Staffing, site: SiteWork, door: Door, wanted: Plan) -> None:
    """A session by another plan's endpoints or options is none for this mail: a kept one takes its place,
    or there is none."""
    before, session = door.key, door.session
    door.plan = wanted
    if session is None or door.key == before:
        return
    door.session = runner.pool.take(door.key, site.share)
    if door.session:
        runner.pool.put(before, session, site.share)
    else:
        await session.quit()


async def _hand_over(ahead: Ahead, content: bytes | None) -> None:
    runner, site, door, group = ahead.runner, ahead.site, ahead.door, ahead.now
    session = cast(Session, door.session)
    is_kept, began = session.n_sent > 0, time.monotonic()
    if content is None:
        _settle(runner, [(row, _without_body()) for row in group.rows], began)
        return
    # What was asked for behind the dot of the mail before is this group's.
    outcomes = await _send(ahead, session, session.begun or envelope_of(group, content))
    if is_kept and _was_closed_meanwhile(outcomes) and group.n_restarts < MAX_RESTARTS:
        group.n_restarts += 1
        ahead.give_back()
        site.add(group, first=True)
        return
    ahead.settle(outcomes)
    done, rest = _without_surplus(group, outcomes)
    if rest:
        site.add(rest, first=True)
    block = runner.watch.rules.first_block(outcomes, site.plan.site_name)
    if block:
        until = await suspend(runner, site, door, *block)
        has_other = runner.book.has_other(site.pool, site.plan.site_id, door.source, runner.warmups.left)
        settle_blocked(runner, site, done, began, has_other=has_other, until=until)
    else:
        _settle(runner, done, began)
    runner.watch.note(site.plan.site_id, site.plan.site_name, door.source.pk, done)
    await feed_back(runner, site, outcomes)


async def connect(runner: Staffing, site: SiteWork, door: Door, n: int) -> Session:
    """To the first host of the plan that lets us, for `n` mails. Raises SessionFailed with the last one's
    outcome."""
    failed: Outcome | None = None
    for endpoint in door.plan.endpoints:
        try:
            if door.plan.site_key.startswith("mx:"):
                endpoint = replace(endpoint, addresses=await runner.router.addresses(endpoint.host))
            elif len(site.pool.members) > 1:
                endpoint = replace(endpoint, addresses=await _addresses(endpoint.host))
            runner.fit(site, door, n, {ip_address(each).version for each in endpoint.addresses})
            return await Session.open(endpoint, door.options)
        except NoWay as error:
            failed = failed or error.outcome
        except SessionFailed as error:
            failed = error.outcome
    raise SessionFailed(failed or Outcome(result="deferred", reply_class="dns", text="no host to try"))


async def _addresses(host: str) -> tuple[str, ...]:
    """Those that the system knows for a relay's name; none where it fails: the session says why."""
    try:
        async with asyncio.timeout(10):
            found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), None, type=SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return ()
    return tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


async def _send(ahead: Ahead, session: Session, envelope: Envelope) -> list[Outcome]:
    """Outcomes by row. The journal knows of the dot before the receiver does."""
    runner = ahead.runner
    claims = [(row.id, row.n_attempts) for row in ahead.now.rows]
    dotted: list[int] = []

    def before_dot(indexes: list[int]) -> None:
        runner.journal.before_dot([claims[index] for index in indexes])
        dotted.extend(indexes)

    try:
        outcomes = await session.send(envelope, before_dot, ahead.begin)
    except OSError as error:
        outcomes = [_no_journal(error)] * len(claims)
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
    runner: Staffing, claims: list[tuple[int, int]], outcomes: list[Outcome], dotted: list[int]
) -> None:
    try:
        runner.journal.replied(
            [claims[index] for index in dotted], [outcomes[index] for index in dotted], timezone.now()
        )
    except OSError as error:
        # The outcome goes to the database as well; only a crash right now would call it ambiguous.
        log.error("a reply is not in the journal: %s", error)


def _settle(runner: Staffing, pairs: list[tuple[Claimed, Outcome]], began: float) -> None:
    now = timezone.now()
    took_ms = int((time.monotonic() - began) * 1000)
    runner.hands.settle([Result(row, outcome, now, took_ms) for row, outcome in pairs])


def _was_closed_meanwhile(outcomes: list[Outcome]) -> bool:
    """A kept session that the other side had closed, in silence or with a last 421: our mail crossed
    with that, and was not looked at."""
    return all(
        outcome.stage == "mail"
        and (outcome.reply_class == "connection" or (outcome.code == 421 and outcome.reply_class == "busy"))
        and outcome.code in (None, 421)
        for outcome in outcomes
    )


def _settle_unforeseen(runner: Staffing, group: Group, error: Exception) -> None:
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
