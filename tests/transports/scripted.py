"""An SMTP server that says exactly what a test tells it to, for behaviour no real server shows on demand.

A script is a list of steps `(expected, answer)` for one connection, the n-th script for the n-th
connection. `expected`: None (answer at once), the start of the next line, or "." (read the data up to
the final dot into `contents`). `answer`: text (CRLF is added), bytes (sent as they are), None (say
nothing), or an async callable `(reader, writer)` such as `close`, `reset`, `hang` or `starttls(...)`.
What arrives against the script ends up in `errors`, and leaving the context raises it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType

from queueapp.transports.base import Endpoint

Action = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Step = tuple[str | None, str | bytes | Action | None]

EHLO: Step = ("EHLO ", "250-scripted\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
PLAIN_EHLO: Step = ("EHLO ", "250 scripted")
GREETING: Step = (None, "220 scripted ESMTP")
OPENED: list[Step] = [GREETING, EHLO]
OPENED_STEPWISE: list[Step] = [GREETING, PLAIN_EHLO]
QUIT: Step = ("QUIT", "221 2.0.0 bye")


class ScriptedServer:
    def __init__(
        self, *scripts: list[Step], context: ssl.SSLContext | None = None, family: str = "127.0.0.1"
    ):
        self.scripts = list(scripts)
        self.context = context
        self.host = family
        self.lines: list[str] = []
        self.contents: list[bytes] = []
        self.errors: list[str] = []
        self.n_connections = 0
        self.n_finished = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._stuck: set[asyncio.Task[None] | None] = set()

    async def __aenter__(self) -> ScriptedServer:
        self._server = await asyncio.start_server(
            self._connected, self.host, 0, limit=2**20, ssl=self.context
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        if kind is None and not self.errors:
            await self.finished()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if kind is None and self.errors:
            raise AssertionError(f"against the script: {self.errors}; lines: {self.lines[-20:]}")

    async def finished(self) -> None:
        """Until every script ran to its end, or 5 seconds are over."""
        if running := self._tasks - self._stuck:
            await asyncio.wait(running, timeout=5)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("localhost", self.port, (self.host,))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        script = self.scripts[min(self.n_connections, len(self.scripts) - 1)]
        self.n_connections += 1
        try:
            for step in script:
                await self._step(step, reader, writer)
            await _until_gone(reader)
            self.n_finished += 1
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError) as exc:
            if not any(callable(answer) for _, answer in script):
                self.errors.append(f"connection ended early: {exc!r}")
        except AssertionError as exc:
            self.errors.append(str(exc))
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _step(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        expected, answer = step
        if expected == ".":
            self.contents.append(await _read_content(reader))
        elif expected is not None:
            line = (await reader.readuntil(b"\r\n")).decode().rstrip("\r\n")
            self.lines.append(line)
            assert line.startswith(expected), f"expected {expected!r}, got {line!r}"
        if callable(answer):
            if answer is stop_reading:
                self._stuck.update({asyncio.current_task()})
            await answer(reader, writer)
        elif answer is not None:
            writer.write(answer if isinstance(answer, bytes) else answer.encode() + b"\r\n")
            await writer.drain()


async def _read_content(reader: asyncio.StreamReader) -> bytes:
    lines = []
    while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
        lines.append(line[1:] if line.startswith(b".") else line)
    return b"".join(lines)


async def _until_gone(reader: asyncio.StreamReader) -> None:
    extra = await reader.read(2**20)
    assert not extra, f"more than the script has: {extra[:200]!r}"


async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection in good order."""
    writer.close()
    raise ConnectionResetError("closed by the script")


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection with a RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    raise ConnectionResetError("reset by the script")


async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Say nothing more until the client goes away."""
    while await reader.read(65536):
        pass
    raise ConnectionResetError("the client gave up")


async def stop_reading(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take no more bytes (a full window) until the test is over."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


def trickle(data: bytes, every: float) -> Action:
    """Send `data` one octet at a time."""

    async def send(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for octet in data:
            writer.write(bytes([octet]))
            await writer.drain()
            await asyncio.sleep(every)

    return send


def flood(piece: bytes, total: int) -> Action:
    """Send `piece` again and again until `total` octets are out or the client goes away."""

    async def send(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(total // len(piece)):
            writer.write(piece)
            await writer.drain()

    return send


def starttls(context: ssl.SSLContext, *, ahead: bytes = b"") -> Action:
    """Answer 220, `ahead` behind it in the same packet, and do the handshake."""

    async def upgrade(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 2.0.0 ready\r\n" + ahead)
        await writer.start_tls(context)

    return upgrade


async def break_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer 220, and then garbage to the ClientHello."""
    writer.write(b"220 2.0.0 ready\r\n")
    await reader.read(1024)
    writer.write(b"this is no TLS record\r\n" * 4)
    await writer.drain()
    await hang(reader, writer)
