"""The submission server: mail comes in by SMTP, passes the one gate, and is answered.

Promises: 250 to the dot is sent after `accept` has committed, with the message's id; what the gate
refuses is answered with its code, enhanced code and text; addresses are checked at MAIL and RCPT, so
that a client learns which one is wrong. Who comes from elsewhere than loopback must log in (setting
MAILWEIR_SMTP_LOGIN); five wrong passwords from one address within a minute are answered with 421
for a minute.
Never: it neither changes a mail nor writes a row itself, and a password is never logged.
Failure: the gate's TryLater is 451; an error nobody foresaw is logged and answered with 451 4.3.0,
so that the client keeps its mail. A mail whose client left before the answer may be stored all the
same: the client will repeat it, which is what SMTP asks of it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from queueapp import conf
from queueapp.ingest.login_throttle import LoginThrottle
from queueapp.mail.address import AddressError, parse_address
from queueapp.transports.base import Envelope
from queueapp.transports.smtp.server import Handler, Reply, ServerOptions, ServerSession, SmtpServer

if TYPE_CHECKING:
    from queueapp.ingest.submission import Accepted, Submission

Accept = Callable[["Submission"], Awaitable["Accepted"]]
CheckLogin = Callable[[str, str], Awaitable[str | bool | None]]
_GRACE = 5.0


@dataclass(frozen=True, slots=True)
class SmtpdOptions:
    """`login`: "remote" lets loopback submit without one, "always" nobody. Sizes in octets."""

    hostname: str = "localhost"
    max_size: int = 50_000_000
    max_recipients: int = 1000
    login: str = "remote"
    certificate: Path | None = None
    key: Path | None = None
    max_connections: int = 1000
    idle: float = 300

    @classmethod
    def from_conf(cls, settings: conf.Conf) -> SmtpdOptions:
        return cls(
            hostname=settings.host,
            max_size=settings.max_size,
            max_recipients=settings.max_recipients,
            login=settings.smtp_login,
            certificate=settings.smtp_cert,
            key=settings.smtp_key,
        )


class SubmissionHandler(Handler):
    """`check_login` gives the login's name (or True: as written), or None for a wrong user or password."""

    def __init__(self, accept: Accept, check_login: CheckLogin | None, login: str = "remote") -> None:
        self._accept = accept
        self._check_login = check_login
        self._login = login
        self._throttle = LoginThrottle()

    async def on_auth(self, session: ServerSession, user: str, password: str) -> Reply | str | None:
        if not self._check_login:
            return Reply(503, "5.5.1", "Logins are not offered here")
        if not self._throttle.begin(session.client, time.monotonic()):
            return Reply(421, "4.7.0", "Too many failed logins from your address, try again in a minute")
        try:
            found = await self._check_login(user, password)
        except Exception:
            self._throttle.forgive(session.client)  # not the client's failure; the server says 454
            raise
        if found:
            self._throttle.forgive(session.client)
        return user if found is True else found or None

    def on_mail(self, session: ServerSession, sender: str) -> Reply | None:
        if not session.login and (self._login == "always" or not session.is_local):
            return Reply(530, "5.7.0", "Log in first: mail is taken from known senders only")
        return _refuse_address(sender, "5.1.7") if sender else None

    def on_rcpt(self, session: ServerSession, recipient: str) -> Reply | None:
        return _refuse_address(recipient, "5.1.3")

    async def on_data(self, session: ServerSession, envelope: Envelope) -> Reply:
        from queueapp.ingest.submission import MAX_LINE, Refused, Submission

        submission = Submission(
            sender=envelope.sender,
            recipients=envelope.recipients,
            content=envelope.content,
            source="smtp",
            client=session.client,
            helo=session.helo,
            protocol=protocol_of(session, envelope),
            login=session.login,
            requires_tls=envelope.requires_tls,
            has_clean_lines=session.options.is_strict and 0 < session.options.max_line <= MAX_LINE,
        )
        try:
            accepted = await self._accept(submission)
        except Refused as refusal:
            return Reply(refusal.code, refusal.enhanced, refusal.text)
        return Reply(250, "2.0.0", f"Ok: queued as {accepted.message_id}")


def _refuse_address(text: str, enhanced: str) -> Reply | None:
    try:
        parse_address(text)
    except AddressError as error:
        return Reply(501, enhanced, str(error))
    return None


def protocol_of(session: ServerSession, envelope: Envelope) -> str:
    """The "with" word of a Received field (RFC 3848, RFC 6531 section 4.3)."""
    if not session.is_esmtp:
        return "SMTP"
    kind = "UTF8SMTP" if envelope.needs_utf8 else "ESMTP"
    return kind + ("S" if session.tls else "") + ("A" if session.login else "")


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """None without a certificate. Raises ValueError that names the file that can't be used."""
    if certificate is None:
        return None
    for path in (certificate, key or certificate):
        try:
            path.read_bytes()
        except OSError as error:
            raise ValueError(f"{path} can't be read: {error.strerror}; see MAILWEIR_SMTP_CERT") from None
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        tls.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        files = f"{certificate} and {key}" if key else str(certificate)
        reason = error.reason or "not PEM"
        raise ValueError(f"{files}: no certificate with its key ({reason}); see MAILWEIR_SMTP_CERT") from None
    return tls


def make_server(options: SmtpdOptions, accept: Accept, check_login: CheckLogin | None = None) -> SmtpServer:
    """A submission server that isn't listening yet. Raises ValueError for a useless certificate."""
    server_options = ServerOptions(
        hostname=options.hostname,
        max_size=options.max_size,
        max_recipients=options.max_recipients,
        max_connections=options.max_connections,
        idle=options.idle,
        tls=tls_context(options.certificate, options.key),
        offers_auth=check_login is not None,
        offers_requiretls=True,
    )
    return SmtpServer(SubmissionHandler(accept, check_login, options.login), server_options)


async def serve(
    where: socket.socket | tuple[str, int],
    options: SmtpdOptions | None = None,
    ready: Callable[[tuple[str, int]], None] | None = None,
    accept: Accept | None = None,
    check_login: CheckLogin | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve on a bound socket or on (host, port) until SIGTERM or SIGINT, or until `stop` is set.

    `options` default to the settings, `accept` to the gate. `ready` is called with the address in
    use. Ends within 6 seconds: mail in flight has 5 to be answered.
    """
    if accept is None:
        from queueapp.ingest.accept import accept_async

        accept = accept_async
    server = make_server(options or SmtpdOptions.from_conf(conf.current()), accept, check_login)
    await server.serve(where, _GRACE, ready, stop)
