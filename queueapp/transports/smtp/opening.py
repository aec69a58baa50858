"""From an endpoint to a session that is ready for mail: connect, greeting, EHLO, STARTTLS, AUTH.

Promises: the next address is tried only while the server said nothing; what a server says to us is
the outcome. Opportunistic TLS that fails in the handshake costs one more connection, in plain text;
required TLS never falls back, and a password never goes over a connection that lost its TLS.
On failure raises `SessionFailed`; no connection is left open.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from queueapp.transports.base import SessionFailed
from queueapp.transports.smtp import auth, tls
from queueapp.transports.smtp.dial import candidates, connect
from queueapp.transports.smtp.features import Features
from queueapp.transports.smtp.outcomes import CLOSING, Place
from queueapp.transports.smtp.transcript import Opening
from queueapp.transports.smtp.wire import Broken

if TYPE_CHECKING:
    from queueapp.transports.base import Endpoint, Options, Outcome, Stage, TlsMode
    from queueapp.transports.smtp.replies import RawReply
    from queueapp.transports.smtp.wire import Wire


@dataclass(slots=True)
class Link:
    """A connection that is ready for MAIL, with what the server offers on it.

    `is_verified`: over TLS, with a certificate of the host that we asked for. `said`: how it came about.
    """

    wire: Wire
    place: Place
    features: Features
    is_verified: bool = False
    said: Opening = field(default_factory=Opening)


async def open_link(endpoint: Endpoint, options: Options) -> Link:
    """Open a session's connection; raises `SessionFailed`."""
    said = Opening(auth.secrets_of(options))
    try:
        try:
            return await _Opening(endpoint, options, options.tls, said).run()
        except tls.HandshakeFailed as failed:
            said.note(f"{failed.text}; once more, without TLS")
            return await _Opening(endpoint, options, "none", said).run()
    except SessionFailed as failed:
        if options.transcripts != "off":
            failed.outcome = replace(failed.outcome, transcript=said.text())
        raise


class _Opening:
    def __init__(self, endpoint: Endpoint, options: Options, mode: TlsMode, said: Opening) -> None:
        self.said = said
        self.endpoint = endpoint
        self.options = options
        self.mode = mode
        self.place = Place(endpoint.host)
        self.stage: Stage = "connect"
        self.features = Features()
        self.wire: Wire | None = None

    async def run(self) -> Link:
        try:
            wire = await self._connect()
            await self._hello(wire)
            await self._starttls(wire)
            self._check_requiretls()
            await self._login(wire)
        except Broken as broken:
            self._close()
            if isinstance(broken, tls.HandshakeFailed) and self._may_fall_back:
                raise
            self.said.note(broken.text)
            raise SessionFailed(self.place.of_broken(broken, self.stage)) from broken
        except BaseException:
            self._close()
            raise
        is_verified = bool(self.place.tls) and self.options.verify
        return Link(wire, self.place, self.features, is_verified, self.said)

    @property
    def _may_fall_back(self) -> bool:
        return self.mode == "opportunistic" and not self.options.username

    def _close(self) -> None:
        if self.wire is not None:
            self.wire.close()

    async def _connect(self) -> Wire:
        failures = []
        for address in await candidates(self.endpoint, self.options):
            self.stage = "connect"
            self.place = Place(self.endpoint.host, address, self.options.source_address or "")
            try:
                return await self._greeted(address)
            except tls.HandshakeFailed:
                raise
            except Broken as broken:
                self._close()
                self.said.note(broken.text)
                failures.append(broken)
        text = "; ".join(dict.fromkeys(broken.text for broken in failures))
        raise Broken(failures[-1].reply_class, text)

    async def _greeted(self, address: str) -> Wire:
        self.said.note(f"connecting to {self.endpoint.host} [{address}] port {self.endpoint.port}")
        wire = self.wire = await connect(address, self.endpoint.port, self.options)
        self.place = Place(self.endpoint.host, address, wire.source)
        self.said.note(f"connected, from {wire.source}")
        if self.mode == "implicit":
            await self._handshake(wire)
        self.stage = "greeting"
        greeting = await wire.reply(self.options.timeouts.greeting, "our connection (the greeting)")
        self.said.server(greeting)
        if greeting.code != 220:
            raise self._refused(greeting)
        return wire

    async def _hello(self, wire: Wire) -> None:
        self.stage = "ehlo"
        reply = await self._ask(wire, f"EHLO {self.options.ehlo_name}", "EHLO")
        self.features = Features.parse(reply)
        if reply.code >= 500:
            reply = await self._ask(wire, f"HELO {self.options.ehlo_name}", "HELO")
            self.features = Features()
        if not 200 <= reply.code < 300:
            raise self._refused(reply)

    async def _starttls(self, wire: Wire) -> None:
        self.stage = "starttls"
        is_required = self.mode == "required"
        if self.mode in ("none", "implicit"):
            return
        if not self.features.has_starttls:
            if is_required:
                raise Broken("tls", "TLS is required, and the server does not offer STARTTLS")
            return
        reply = await self._ask(wire, "STARTTLS", "STARTTLS")
        if reply.code == 220:
            await self._handshake(wire)
            await self._hello(wire)
        elif is_required:
            outcome = self.place.of_reply(reply, "starttls")
            wire.close()
            raise SessionFailed(replace(outcome, result="deferred", reply_class="tls"))

    def _check_requiretls(self) -> None:
        if self.options.needs_requiretls and not (self.features.has_requiretls and self.place.tls):
            raise SessionFailed(
                self.place.of_refusal("tls", "5.7.30", "the server does not offer REQUIRETLS")
            )

    async def _handshake(self, wire: Wire) -> None:
        self.stage = "starttls"
        made = tls.context(verify=self.options.verify, cafile=self.options.cafile)
        name = await tls.upgrade(wire, made, self.endpoint.host, self.options.timeouts.greeting)
        self.place = replace(self.place, tls=name)
        self.said.note(f"from here on encrypted: {name}")

    async def _login(self, wire: Wire) -> None:
        self.stage = "auth"
        if not self.options.username:
            return
        if self.mode == "opportunistic" and not self.place.tls:
            raise Broken("tls", "no TLS came about, and the password is not sent in plain text")
        failure = await auth.login(wire, self.features, self.options, self.place, self.said)
        if failure is not None:
            raise SessionFailed(failure)

    async def _ask(self, wire: Wire, command: str, name: str) -> RawReply:
        line = command.encode()
        wire.write(line + b"\r\n", n_replies=1)
        self.said.client(line)
        reply = await wire.reply(self.options.timeouts.greeting, name)
        self.said.server(reply)
        if reply.code == CLOSING:
            raise self._refused(reply)
        return reply

    def _refused(self, reply: RawReply) -> SessionFailed:
        outcome: Outcome = self.place.of_reply(reply, self.stage)
        if outcome.result == "delivered":
            text = f"the server's answer makes no sense here: {reply.code} {outcome.text}"
            outcome = self.place.of_broken(Broken("protocol", text), self.stage)
        return SessionFailed(outcome)
