"""`doctor route ADDRESS`: which way a mail to that address would take now, and what stands in it.

It reads and looks up, and changes nothing: no row, no connection to the receiver. Each step is a
sentence; one that stops the mail is a FAIL with when it ends and what to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connections
from django.utils import timezone
from redis.exceptions import RedisError

from queueapp import conf
from queueapp.engine import sources, tokens
from queueapp.engine.routing import Lead, NoWay, Router, SiteLimits, rate_of, slowed
from queueapp.engine.sources import Book, Pool, Source
from queueapp.ingest.holding import rule_for
from queueapp.mail.address import Address, AddressError, parse_address
from queueapp.management.doctor.finding import Finding, fail, ok, warn
from queueapp.models import (
    Effect,
    RecipientDomain,
    RuleScope,
    Runner,
    Site,
    SourceDay,
    Suppression,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of the mail."""

    address: str
    sender: str = ""
    login: str = ""
    tags: Sequence[str] = field(default=())


class WrongAddress(ValueError):
    """The text is for people."""


def explain(asked: Asked) -> list[Finding]:
    """The steps in the order in which a mail meets them; the last one says what comes of it. Raises
    WrongAddress."""
    try:
        recipient = parse_address(asked.address)
        sender = parse_address(asked.sender) if asked.sender else None
    except AddressError as error:
        raise WrongAddress(str(error)) from None
    found = list(_steps(recipient, sender, asked))
    stops = [each for each in found if each.level == "FAIL"]
    if stops:
        found.append(fail("result", f"It would wait or be refused: {stops[0].text}", stops[0].advice))
    else:
        found.append(ok("result", "It would be sent now."))
    return found


def _steps(recipient: Address, sender: Address | None, asked: Asked) -> Iterator[Finding]:
    yield from _at_acceptance(recipient, sender, asked)
    domain = RecipientDomain.objects.filter(name=recipient.domain).first()
    yield from _domain(recipient.domain, domain)
    try:
        lead = asyncio.run(_lead(recipient.domain, domain.route_id if domain else None))
    except NoWay as error:
        outcome = error.outcome
        text = f"there is no way to {recipient.domain}: {outcome.text} ({outcome.reply_class})"
        advice = "It bounces." if outcome.result == "bounced" else "It is deferred and tried again."
        yield fail("route", text, advice)
        return
    yield _route(lead)
    site = Site.objects.filter(key=lead.key).first()
    yield from _site(lead, site)
    yield from _sources(lead, site, sender, asked)
    yield _runners()


def _at_acceptance(recipient: Address, sender: Address | None, asked: Asked) -> Iterator[Finding]:
    listed = Suppression.objects.filter(address=str(recipient).lower()).first()
    if listed:
        yield fail(
            "suppression",
            f"{recipient} is suppressed since {_at(listed.created_at)}: {listed.reason}",
            f"Lift it: manage.py suppression lift {recipient}",
        )
    else:
        yield ok("suppression", f"{recipient} is not suppressed")
    rule = rule_for(
        str(sender or ""),
        sender.domain if sender else "",
        recipient.domain,
        [str(tag) for tag in asked.tags],
        asked.login,
    )
    if rule:
        text = f"rule {rule.pk} of {rule.made_by} holds {rule.kind} {rule.value}: {rule.reason}"
        yield fail("hold", text, f"Remove it: DELETE /api/v1/holds/{rule.pk}; release what it held.")
    else:
        yield ok("hold", "no rule holds it when it comes in")


def _domain(name: str, row: RecipientDomain | None) -> Iterator[Finding]:
    if row is None:
        yield ok("domain", f"nobody ever wrote to {name}")
        return
    waiting = (
        f"{row.n_queued} queued, {row.n_deferred} deferred, {row.n_sending} being sent, {row.n_held} held"
    )
    yield ok("domain", f"{name}: {waiting}")
    if row.is_suspended(timezone.now()):
        until = f"until {_at(row.suspended_until)}" if row.suspended_until else "until it is resumed"
        reason = f" ({row.suspended_reason})" if row.suspended_reason else ""
        text = f"{name} is suspended {until}{reason}"
        yield fail("domain", text, f"Resume it: POST /api/v1/domains/{name}/resume")
    yield from _effects(timezone.now(), domain=row.pk)
    rate = rate_of(slowed(row.rate, row.slow_rate, row.slow_until), conf.current().domain_rate)
    if rate:
        yield ok("domain", f"{name} gets at most {rate}")
    if row.next_at and row.next_at > timezone.now():
        yield fail(
            "domain", f"the rate of {name} allows no mail before {_at(row.next_at)}", "Raise its rate."
        )


def _effects(now: datetime, **on: int) -> Iterator[Finding]:
    """What rules do there; that of a pair is told with its source."""
    for row in Effect.objects.open(now).filter(**on).exclude(scope=RuleScope.PAIR):
        until = f"until {_at(row.until)}" if row.until else "until it is lifted"
        to = f" to {row.rate}" if row.rate else ""
        text = f"the rule {row.rule_name!r}: {row.action}{to} on {row.label}, {until}: {row.reply}"
        yield warn("rule", text, f"Lift it: POST /api/v1/effects/{row.pk}/lift")


def _route(lead: Lead) -> Finding:
    way = lead.way
    if way.kind == "sandbox":
        return ok("route", f"sandbox at {way.host}:{way.port}: nothing leaves this machine")
    if way.kind == "relay":
        login = f", with the login {way.options.username}" if way.options.username else ""
        return ok("route", f"relay {way.host}:{way.port}, TLS {way.options.tls}{login}")
    hosts = ", ".join(f"{name} ({preference})" for preference, name in lead.hosts)
    return ok("route", f"its MX hosts, port {way.port}, TLS {way.options.tls}: {hosts}")


def _site(lead: Lead, row: Site | None) -> Iterator[Finding]:
    limits = SiteLimits.of(row or Site())
    rate = f", at most {limits.rate}" if limits.rate else ", no rate"
    told = f"{lead.name}: {limits.max_sessions} sessions, {limits.max_mails} mails by each{rate}"
    if row is None:
        yield ok("site", f"{told}; nothing was sent there yet")
        return
    try:
        told += f"; {tokens.in_use([row.pk])[row.pk]} sessions in use now"
    except RedisError:
        told += "; how many are in use is not known while Redis is away"
    yield ok("site", f"{told} (site {row.pk})")
    now = timezone.now()
    if row.is_suspended(now):
        until = f"until {_at(row.suspended_until)}" if row.suspended_until else "until it is resumed"
        reason = f" ({row.suspended_reason})" if row.suspended_reason else ""
        text = f"{row.name} is suspended {until}{reason}"
        yield fail("site", text, f"Resume it: POST /api/v1/sites/{row.pk}/resume")
    if row.backoff_until and row.backoff_until > now:
        text = (
            f"{row.name} backs off until {_at(row.backoff_until)} ({row.backoff_class}): {row.backoff_reply}"
        )
        yield fail("site", text, f"Lift it: POST /api/v1/sites/{row.pk}/lift")
    yield from _effects(now, site=row.pk)
    if row.next_at and row.next_at > now:
        text = f"the rate of {row.name} allows no mail before {_at(row.next_at)}"
        yield fail("site", text, f"Raise it: PATCH /api/v1/sites/{row.pk}/limits")


def _sources(lead: Lead, site: Site | None, sender: Address | None, asked: Asked) -> Iterator[Finding]:
    book = sources.load()
    pool = book.pool_for(
        lead.way.pool_id, lead.way.source_id, str(sender or ""), asked.login, list(asked.tags)
    )
    kind = (
        "by a rule" if book.is_by_rule(str(sender or ""), asked.login, list(asked.tags)) else "by the route"
    )
    yield ok("pool", f"{pool.name or 'default'}, {kind}")
    usable = 0
    for source, weight in pool.members:
        stop = _stop(book, source, site)
        name = f"{source.name} ({source.address or 'the address that the system chooses'}), weight {weight}"
        if stop:
            yield warn("source", f"{name}: {stop[0]}", stop[1])
        else:
            usable += 1
            yield ok("source", name + _warm(source, site))
    if not usable:
        yield fail("source", _why(pool), "See the sources above.")


def _why(pool: Pool) -> str:
    return (
        f"no source of the pool {pool.name} may be used now"
        if pool.members
        else f"the pool {pool.name} is empty"
    )


def _stop(book: Book, source: Source, site: Site | None) -> tuple[str, str] | None:
    """What keeps the source from being used, and what to do."""
    if not source.is_active:
        return "it is drained", f"Make it active: PATCH /api/v1/sources/{source.pk}"
    if not source.is_here:
        return "no address of this machine", "Another machine sends by it, if one has the address."
    if site is None:
        return None
    block = book.block(source, site.pk, timezone.now())
    if block:
        text = f"{site.name} has blocked it, until {_at(block.until)}: {block.reply}"
        return text, "Lift it: POST /api/v1/suspensions/{id}/lift; GET /api/v1/suspensions has the id."
    cap = source.daily_cap(timezone.now().date())
    if cap is not None and _sent(source, site) >= cap:
        return (
            f"warm-up: its {cap} mails of today for {site.name} are used up",
            "Wait, or raise warmup_first.",
        )
    return None


def _warm(source: Source, site: Site | None) -> str:
    cap = source.daily_cap(timezone.now().date())
    return "" if cap is None else f": warm-up, {_sent(source, site)} of today's {cap} used"


def _sent(source: Source, site: Site | None) -> int:
    if site is None:
        return 0
    rows = SourceDay.objects.filter(source_id=source.pk, site=site, day=timezone.now().date())
    return rows.values_list("n", flat=True).first() or 0


def _runners() -> Finding:
    n = Runner.objects.alive().count()
    if n or conf.current().workers:
        return ok("runners", f"{n} at work" if n else "none at work; due mail starts one")
    return warn("runners", "none at work, and MAILWEIR_WORKERS=0 here", "Run workers on another machine.")


async def _lead(domain: str, route_id: int | None) -> Lead:
    return await Router(_in_thread).lead(domain, route_id)


def _in_thread(function: Callable[[], Any]) -> Awaitable[Any]:
    def run() -> Any:
        try:
            return function()
        finally:
            connections.close_all()

    return asyncio.to_thread(run)


def _at(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "?"
