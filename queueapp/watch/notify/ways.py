"""SMTP for alert mail: by the ways of MAILWEIR_ALERT_SMTP in their order, then straight to the MX.

Promises: never the queue, its workers, its routes or Redis; each way has its time, and one that fails leads
to the next. What was said is told with logins struck out and without the mail's content. Never raises for
what a server or the network did.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import cast

from queueapp import conf
from queueapp.conf import RouteSpec
from queueapp.mail.address import Address, AddressError, parse_address
from queueapp.mail.reply import clean
from queueapp.transports.base import Endpoint, Envelope, Options, Outcome, SessionFailed, Timeouts, TlsMode
from queueapp.transports.smtp.client import Session
from queueapp.transports.smtp.mx import MxFailed, Resolver
from queueapp.watch.notify import letter

ONE_WAY = 45.0
"""Seconds that one way may take in all."""
_TIMEOUTS = Timeouts(
    connect=8, greeting=15, mail=15, rcpt=20, data_start=15, data_block=20, data_end=30, quit=2
)
MX = RouteSpec("mx")


@dataclass(frozen=True, slots=True)
class Sent:
    """`talk`: the conversation of every way that was tried; `via`: who took it."""

    is_sent: bool
    via: str = ""
    error: str = ""
    talk: str = ""


def send(to: str, content: bytes, one_way: float = ONE_WAY) -> Sent:
    """One mail to one address, now."""
    try:
        address = parse_address(to)
    except AddressError as error:
        return Sent(False, error=str(error))
    return asyncio.run(_send(address, content, one_way))


def ways() -> list[RouteSpec]:
    """In the order that they are tried. MX is always the last resort."""
    chosen = list(conf.current().alert_smtp)
    return chosen if any(way.kind == "mx" for way in chosen) else [*chosen, MX]


async def _send(to: Address, content: bytes, one_way: float) -> Sent:
    talk: list[str] = []
    errors: list[str] = []
    for way in ways():
        name = f"{way.host}:{way.port}" if way.kind == "relay" else f"the MX of {to.domain}"
        try:
            async with asyncio.timeout(one_way):
                outcome = await (_by_relay(way, to, content) if way.kind == "relay" else _by_mx(to, content))
        except TimeoutError:
            errors.append(f"{name}: no end within {one_way:g} s")
            talk.append(f"** {errors[-1]}")
            continue
        talk.append(f"** by {name}\n{outcome.transcript or clean(outcome.text, 500)}")
        if outcome.result == "delivered":
            return Sent(True, outcome.host or name, talk="\n".join(talk))
        errors.append(f"{name}: {outcome.reply}")
    return Sent(False, error=clean("; ".join(errors), 1000), talk="\n".join(talk))


async def _by_relay(way: RouteSpec, to: Address, content: bytes) -> Outcome:
    options = replace(
        _options(), tls=cast(TlsMode, way.tls), verify=way.tls in ("required", "implicit"),
        username=way.username, password=way.password,
    )  # fmt: skip
    return await _by(Endpoint(way.host, way.port), options, to, content)


async def _by_mx(to: Address, content: bytes) -> Outcome:
    current = conf.current()
    resolver = Resolver([str(each) for each in current.dns] or None)
    outcome: Outcome | None = None
    try:
        found = await resolver.destination(to.domain)
    except MxFailed as failed:
        return failed.outcome
    options = replace(_options(), tls=cast(TlsMode, current.tls))
    for host in found.hosts:
        try:
            addresses = await resolver.addresses(host.name)
        except MxFailed as failed:
            outcome = failed.outcome
            continue
        outcome = await _by(Endpoint(host.name, current.mx_port, addresses), options, to, content)
        if outcome.result != "deferred":
            return outcome
    assert outcome is not None, "a destination has a host"
    return outcome


async def _by(endpoint: Endpoint, options: Options, to: Address, content: bytes) -> Outcome:
    try:
        session = await Session.open(endpoint, options)
    except SessionFailed as failed:
        return failed.outcome
    try:
        envelope = Envelope(letter.sender(), (str(to),), content, needs_utf8=to.needs_smtputf8)
        return (await session.send(envelope))[0]
    finally:
        await session.quit()


def _options() -> Options:
    return Options(ehlo_name=conf.current().host, timeouts=_TIMEOUTS, transcripts="all")
