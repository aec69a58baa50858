"""One client of our SMTP server: its conversation, as an asyncio protocol without streams.

Input is worked off in order from one buffer; while a hook is awaited, or while the client doesn't
read our replies, no further command is looked at and reading pauses once the buffer is full. So
replies keep their order (RFC 2920) and memory stays bounded. A session that says nothing for
`idle` seconds is told 421 4.4.2; time in which a hook works is not counted.
A connection lost while `on_data` works leaves that hook running: what it stores is stored.
Commands are in server_commands.py; here is what moves octets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from queueapp.transports.smtp.server_commands import Commands
from queueapp.transports.smtp.server_data import DataReader
from queueapp.transports.smtp.server_lines import HANG_UP, MAX_AUTH_LINE, Reply

if TYPE_CHECKING:
    from queueapp.transports.smtp.server import Handler, ServerOptions, SmtpServer

_logger = logging.getLogger(__name__)
_BUFFER = 65_536  # octets held unread before the client has to wait
_BATCH = 64  # replies gathered before they are written
_LINGER = 10.0  # seconds for the last words to leave
_OWN_FAULT = Reply(451, "4.3.0", "Internal error, try again later")


class ServerSession(Commands, asyncio.Protocol):
    """`client`: its IP, `is_local` if that is loopback; `helo`, `is_esmtp`, `login`: as learnt so far.

    `tls`: version and cipher, or "".
    """

    def __init__(self, handler: Handler, options: ServerOptions, server: SmtpServer) -> None:
        super().__init__(handler, options)
        self.client = ""
        self.port = 0
        self._server = server
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._scanned = 0
        self._out: list[bytes] = []
        self._pending: asyncio.Future[Any] | None = None
        self._is_held = False  # the client doesn't read
        self._is_paused = False  # we don't read
        self._is_at_eof = False
        self._is_retiring = False
        self._is_skipping_line = False
        self._spoke_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    # -- what the loop calls ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername") or ("", 0)
        self.client, self.port = str(peer[0]), int(peer[1])
        if self.client.startswith("::ffff:") and "." in self.client:
            self.client = self.client[7:]
        self.is_local = self.client == "::1" or self.client.startswith("127.")
        self._note_tls()
        self._arm(self.options.idle)
        refusal = self._server.admit(self)
        if refusal:
            self.answer(refusal)
            self._flush()
        else:
            self.settle(lambda: self.handler.on_connect(self), self.greet)
            self._pump()

    def data_received(self, data: bytes) -> None:
        if self.is_closing:
            return
        if self._is_one_command(data):
            self._spoke_at = self._loop.time()
            self.run_line(data)
        else:
            self._buffer += data
        self._pump()

    def _is_one_command(self, data: bytes) -> bool:
        """Most of what comes: a whole line, alone, with nobody before it. It needs no buffer."""
        is_free = not (
            self._buffer or self.reader or self._pending or self._is_held or self._is_skipping_line
        )
        return is_free and data.find(b"\n") == len(data) - 1

    def eof_received(self) -> bool:
        """A client may shut its side and still read the replies; TLS can't be half closed."""
        self._is_at_eof = True
        self._pump()
        return not self.tls and not self.is_closing

    @property
    def has_left(self) -> bool:
        """The client has closed, or at least shut its sending side."""
        return self.is_lost or self._is_at_eof

    def pause_writing(self) -> None:
        self._is_held = True

    def resume_writing(self) -> None:
        self._is_held = False
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.is_lost:
            return
        self.is_lost = self.is_closing = True
        if self._timer:
            self._timer.cancel()
        self._buffer.clear()
        self.reader = None
        self._server.release(self)
        self.handler.on_close(self)

    # -- working off the buffer ---------------------------------------------------------------

    def _pump(self) -> None:
        while self._buffer and not (self._pending or self._is_held or self.is_closing):
            if not (self._take_data(self.reader) if self.reader else self._take_line()):
                break
            if len(self._out) >= _BATCH:
                self._flush()
        self._flush()
        if self.is_lost or self.is_closing or self._pending:
            self._balance()
            return
        if self._is_retiring and not self.is_in_transaction:
            self.answer(Reply(421, "4.3.2", f"{self.options.hostname} is shutting down"))
            self._flush()
        elif self._is_at_eof and not self._is_held:
            self.close()
        self._balance()

    def _take_line(self) -> bool:
        """Run the command at the head of the buffer; False if it isn't whole yet."""
        buffer = self._buffer
        end = buffer.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(buffer)
            if self._scanned > MAX_AUTH_LINE:
                buffer.clear()
                self._scanned = 0
                self._is_skipping_line = True
            return False
        line = bytes(buffer[: end + 1])
        del buffer[: end + 1]
        self._scanned = 0
        self._spoke_at = self._loop.time()
        if self._is_skipping_line:
            self._is_skipping_line = False
            self.cancel_auth()
            self.fault(Reply(500, "5.5.2", "Line too long"))
        else:
            self.run_line(line)
        return True

    def _take_data(self, reader: DataReader) -> bool:
        rest = reader.feed(self._buffer)
        self._buffer.clear()
        self._spoke_at = self._loop.time()
        if rest is None:
            return False
        self._buffer += rest
        self.reader = None
        self.end_data(reader)
        return True

    # -- hooks and replies --------------------------------------------------------------------

    def settle(self, ask: Callable[[], Any], then: Callable[[Any], None], fault: Reply = _OWN_FAULT) -> None:
        """Hand a hook's value to `then`: now, or when it has come; no command is run meanwhile."""
        try:
            value = ask()
        except Exception:
            _logger.exception("a hook of the SMTP server failed for %s", self.client)
            value = fault
        if value is None or isinstance(value, (Reply, str)):
            then(value)
            return
        self._pending = asyncio.ensure_future(value)
        self._pending.add_done_callback(lambda future: self._settled(future, then, fault))

    def _settled(self, future: asyncio.Future[Any], then: Callable[[Any], None], fault: Reply) -> None:
        self._pending = None
        if future.cancelled():
            self.abort()
            return
        error = future.exception()
        if error:
            _logger.error("a hook of the SMTP server failed for %s", self.client, exc_info=error)
        if self.is_lost:
            return
        self._spoke_at = self._loop.time()
        then(fault if error else future.result())
        self._pump()

    def answer(self, reply: Reply) -> None:
        if reply == HANG_UP:
            self._out.clear()
            self.close()
            return
        self._out.append(reply.encode())
        if reply.code == 421:
            self.close()

    def answer_raw(self, reply: bytes) -> None:
        self._out.append(reply)

    def _flush(self) -> None:
        if self._out and not self.is_lost:
            self._transport.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
        self._out.clear()

    def _balance(self) -> None:
        """Read on unless the client sends faster than we may answer."""
        should_pause = len(self._buffer) > _BUFFER and bool(self._pending or self._is_held)
        if should_pause != self._is_paused and not self.is_closing:
            self._is_paused = should_pause
            (self._transport.pause_reading if should_pause else self._transport.resume_reading)()

    # -- TLS ----------------------------------------------------------------------------------

    def upgrade(self, ready: bytes) -> None:
        """Answer `ready`, then speak TLS. What came in plain text before is thrown away (CVE-2011-0411)."""
        self._buffer.clear()
        self._scanned = 0
        self._out.append(ready)
        self._transport.pause_reading()
        self._flush()
        self._pending = asyncio.ensure_future(self._handshake())
        self._pending.add_done_callback(self._upgraded)

    async def _handshake(self) -> asyncio.Transport | None:
        assert self.options.tls is not None
        return await self._loop.start_tls(
            self._transport,
            self,
            self.options.tls,
            server_side=True,
            ssl_handshake_timeout=self.options.handshake,
        )

    def _upgraded(self, future: asyncio.Future[Any]) -> None:
        self._pending = None
        failed = future.cancelled() or future.exception() is not None or future.result() is None
        if failed and not self.is_lost:
            # The loop tells only the TLS layer that this connection is gone.
            self.abort()
            self.connection_lost(None)
        if self.is_lost:
            return
        self._transport = future.result()
        self._is_paused = False
        self.forget_all()
        self._note_tls()
        self._spoke_at = self._loop.time()
        self._pump()

    def _note_tls(self) -> None:
        cipher = self._transport.get_extra_info("cipher")
        self.tls = f"{cipher[1]} {cipher[0]}" if cipher else ""

    # -- time and end -------------------------------------------------------------------------

    def _arm(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._check_idle)

    def _check_idle(self) -> None:
        silent = self._loop.time() - self._spoke_at
        if self._pending:
            self._arm(self.options.idle)
        elif silent < self.options.idle:
            self._arm(self.options.idle - silent + 0.01)
        elif self._is_held:
            self.abort()
        else:
            self.answer(Reply(421, "4.4.2", f"Nothing came for {self.options.idle:g} seconds, closing"))
            self._flush()

    def retire(self) -> None:
        """The server stops: end with the transaction in flight, at once if there is none."""
        self._is_retiring = True
        self._pump()

    def cut(self) -> None:
        """The server's grace is over."""
        if self._pending:
            self._pending.cancel()
        elif not self.is_closing:
            self.answer(Reply(421, "4.3.2", f"{self.options.hostname} is shutting down"))
            self._flush()

    def close(self) -> None:
        """Send what is still to be said, then close; a client that doesn't read is cut off."""
        if self.is_closing:
            return
        self.is_closing = True
        self._flush()
        self._transport.close()
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(_LINGER, self.abort)

    def abort(self) -> None:
        self.is_closing = True
        if not self.is_lost:
            self._transport.abort()
