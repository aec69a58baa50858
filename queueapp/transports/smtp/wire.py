"""One TCP connection to an SMTP server: bytes out, whole replies in, a deadline on each wait.

Promises: a wait ends, at the latest, when its seconds are over, however slowly octets trickle in;
replies that came before a connection broke are still handed out, in order; memory is bounded
(`replies`, and a cap on replies nobody asked for). Never: interprets a reply.
On failure the connection is closed hard and every wait from then on raises `Broken`.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

from queueapp.transports.smtp.replies import Malformed, RawReply, ReplyParser

MAX_UNASKED = 8


class Broken(Exception):
    """The conversation can't go on. `reply_class` is "connection", "protocol" or "tls"."""

    def __init__(self, reply_class: str, text: str) -> None:
        super().__init__(text)
        self.reply_class = reply_class
        self.text = text


class Wire(asyncio.Protocol):
    """The asyncio protocol below a session. One task at a time may wait on it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = ReplyParser()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._waits_for = (0.0, "")
        self._is_paused = False
        self._n_asked = 1  # the greeting
        self.replies = self._parser.replies
        self.broken: Broken | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.broken is not None:
            return
        try:
            self._parser.feed(data)
        except Malformed as exc:
            self.fail(Broken("protocol", str(exc)))
            return
        if len(self.replies) > self._n_asked + MAX_UNASKED:
            self.fail(Broken("protocol", "the server sent more replies than there were commands"))
        elif self.replies:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.broken is None:
            self.broken = Broken("connection", _lost_text(exc))
        self._transport = None
        self.close()

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._wake()

    # What a session calls

    @property
    def transport(self) -> asyncio.Transport:
        if self._transport is None:
            raise self.broken or Broken("connection", "the connection is closed")
        return self._transport

    @transport.setter
    def transport(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    @property
    def is_quiet(self) -> bool:
        """Open, and nothing came that was not asked for."""
        return self.broken is None and not self.replies and not self._parser.has_partial

    @property
    def peer(self) -> str:
        return self._name("peername")

    @property
    def source(self) -> str:
        return self._name("sockname")

    def write(self, data: bytes | memoryview, n_replies: int = 0) -> None:
        """Hand bytes to the socket; `n_replies` answers are expected to them."""
        if self.broken is not None:
            raise self.broken
        self._n_asked += n_replies
        self.transport.write(data)

    async def reply(self, seconds: float, to: str) -> RawReply:
        """The next reply; `to` names what it answers, for the text of a failure."""
        while not self.replies:
            await self._event(seconds, f"the reply to {to}")
        if self._n_asked:
            self._n_asked -= 1
        return self.replies.popleft()

    async def writable(self, seconds: float) -> None:
        """Until the socket takes more, or a reply came before its time."""
        while self._is_paused and not self.replies:
            await self._event(seconds, "the server to take more of the message")

    def fail(self, broken: Broken) -> None:
        if self.broken is None:
            self.broken = broken
        self.close()

    def close(self) -> None:
        """Close hard and at once; what was not sent yet is dropped."""
        if self.broken is None:
            self.broken = Broken("connection", "the session was ended by us")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    async def _event(self, seconds: float, for_what: str) -> None:
        """Until something happened that was worth waiting for, or the seconds are over."""
        if self.broken is not None:
            raise _while_waiting(self.broken, for_what)
        self._waiter = self._loop.create_future()
        self._waits_for = (seconds, for_what)
        self._watch(self._loop.time() + seconds)
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _watch(self, deadline: float) -> None:
        """One timer serves many waits: it is set anew only when it would ring too late."""
        self._deadline = deadline
        if self._timer is None or self._timer.when() > deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._deadline:
            self._watch(self._deadline)
            return
        seconds, for_what = self._waits_for
        self.fail(Broken("connection", f"timed out after {seconds:g} s waiting for {for_what}"))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _name(self, which: str) -> str:
        name = self._transport.get_extra_info(which) if self._transport is not None else None
        return str(name[0]) if name else ""


def _lost_text(exc: Exception | None) -> str:
    if exc is None:
        return "the server closed the connection"
    reason = os.strerror(exc.errno) if isinstance(exc, OSError) and exc.errno else str(exc)
    return f"the connection was lost ({reason or type(exc).__name__})"


def _while_waiting(broken: Broken, for_what: str) -> Broken:
    if broken.reply_class != "connection" or broken.text.startswith("timed out"):
        return broken
    return Broken("connection", f"{broken.text} while we waited for {for_what}")
