"""The SMTP server that the submission server and the sandbox share: listening, limits, stopping.

What a server does with mail is its `Handler`'s business; the conversation with one client is a
`ServerSession` (server_session.py). Both work on asyncio's and on uvloop's loop.
Promises: replies come in the order of the commands, also where a hook is awaited; 250 to the dot
is sent after `on_data` has said so; memory is bounded for each connection; `stop` lets a
transaction in flight end, tells idle clients 421, and is over when its grace is.
Never: it doesn't read settings or rows, and doesn't change a mail's content.
Failure: a hook that raises is logged and answered with 451 4.3.0 (454 4.7.0 for AUTH).
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar, Union

from queueapp.transports.base import Envelope
from queueapp.transports.smtp.server_lines import HANG_UP, Reply, WrongLine, printable
from queueapp.transports.smtp.server_session import ServerSession

__all__ = [
    "HANG_UP",
    "Handler",
    "Reply",
    "ServerOptions",
    "ServerSession",
    "SmtpServer",
    "WrongLine",
    "printable",
]

T = TypeVar("T")
Maybe = Union[T, Awaitable[T]]  # noqa: UP007 - mypy takes no other form of a generic alias on 3.11


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Limits and abilities. Sizes in octets, times in seconds; 0 for a count means: no limit."""

    hostname: str = "localhost"
    banner: str = "ESMTP Mailweir"
    max_size: int = 50_000_000
    max_recipients: int = 1000
    max_line: int = 998
    max_errors: int = 20
    max_connections: int = 1000
    max_per_client: int = 0
    idle: float = 300
    handshake: float = 30
    is_strict: bool = True  # refuse bare CR and LF, and NUL
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    offers_auth: bool = False
    auth_without_tls: bool = False
    auth_on_loopback: bool = True  # no wire to listen on, so no TLS needed
    offers_requiretls: bool = False  # on a session with TLS, RFC 8689


class Handler:
    """The hooks. Each may return its value or an awaitable of it; None means: as usual, go on.

    A negative reply refuses, 421 also closes, `HANG_UP` closes without a word. What a handler wants
    to remember within a transaction goes to `session.notes`, which is new with each MAIL.
    """

    def on_connect(self, session: ServerSession) -> Maybe[Reply | None]:
        return None

    def on_auth(self, session: ServerSession, user: str, password: str) -> Maybe[Reply | str | None]:
        """The login's name, a reply, or None for a wrong user or password."""
        return None

    def on_mail(self, session: ServerSession, sender: str) -> Maybe[Reply | None]:
        """`sender` as the client wrote it; "" is the null sender."""
        return None

    def on_rcpt(self, session: ServerSession, recipient: str) -> Maybe[Reply | None]:
        return None

    def on_data(self, session: ServerSession, envelope: Envelope) -> Maybe[Reply]:
        raise NotImplementedError

    def on_close(self, session: ServerSession) -> None:
        """The connection is gone; an awaited hook of it may still be running."""


class SmtpServer:
    """Listens with one handler. `sessions` are the connections that are open."""

    def __init__(self, handler: Handler, options: ServerOptions) -> None:
        self.handler = handler
        self.options = options
        self.sessions: set[ServerSession] = set()
        self.is_stopping = False
        self._per_client: Counter[str] = Counter()
        self._listener: asyncio.Server | None = None
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    async def start(self, where: socket.socket | tuple[str, int]) -> tuple[str, int]:
        """Listen on a bound socket or on (host, port); returns the address in use."""
        loop = asyncio.get_running_loop()
        if isinstance(where, socket.socket):
            self._listener = await loop.create_server(self._new_session, sock=where, backlog=1024)
        else:
            self._listener = await loop.create_server(self._new_session, *where, backlog=1024)
        host, port = self._listener.sockets[0].getsockname()[:2]
        return host, port

    async def serve(
        self,
        where: socket.socket | tuple[str, int],
        grace: float,
        ready: Callable[[tuple[str, int]], None] | None = None,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Serve until SIGTERM or SIGINT, or until `stop` is set; then stop with `grace` seconds.

        `ready` is called with the address in use once connections are accepted.
        """
        loop = asyncio.get_running_loop()
        stop = stop or asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(name, stop.set)
            except (ValueError, RuntimeError):
                pass  # not in the main thread: only `stop` ends it
        address = await self.start(where)
        try:
            if ready:
                ready(address)
            await stop.wait()
        finally:
            await self.stop(grace)

    def _new_session(self) -> ServerSession:
        return ServerSession(self.handler, self.options, self)

    async def stop(self, grace: float = 3.0) -> None:
        """Stop listening, let transactions in flight end for `grace` seconds, close the rest."""
        self.is_stopping = True
        if self._listener:
            self._listener.close()
        for session in list(self.sessions):
            session.retire()
        await self._wait_until_empty(grace)
        for session in list(self.sessions):
            session.cut()
        await self._wait_until_empty(0.2)
        for session in list(self.sessions):
            session.abort()

    async def _wait_until_empty(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._is_empty.wait(), seconds)
        except TimeoutError:
            pass

    def admit(self, session: ServerSession) -> Reply | None:
        """Called by a new session: None, or why it may not stay."""
        self.sessions.add(session)
        self._is_empty.clear()
        self._per_client[session.client] += 1
        limits = self.options
        if self.is_stopping:
            return Reply(421, "4.3.2", f"{limits.hostname} is shutting down, try again later")
        if limits.max_connections and len(self.sessions) > limits.max_connections:
            return Reply(421, "4.7.0", "Too many connections, try again later")
        if limits.max_per_client and self._per_client[session.client] > limits.max_per_client:
            return Reply(421, "4.7.0", "Too many connections from your address, try again later")
        return None

    def release(self, session: ServerSession) -> None:
        """Called by a session whose connection is gone."""
        if session not in self.sessions:
            return
        self.sessions.discard(session)
        self._per_client[session.client] -= 1
        if self._per_client[session.client] <= 0:
            del self._per_client[session.client]
        if not self.sessions:
            self._is_empty.set()
