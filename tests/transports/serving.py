"""A real SMTP server in a thread of its own, and a raw client that sends exactly what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import uvloop

from queueapp.transports.base import Envelope
from queueapp.transports.smtp.server import Handler, Reply, ServerOptions, ServerSession, SmtpServer

TIMEOUT = 10.0


class Keeper(Handler):
    """Takes everything and remembers it."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.logins: list[tuple[str, str]] = []
        self.tls: list[str] = []

    def on_auth(self, session: ServerSession, user: str, password: str) -> str | None:
        self.logins.append((user, password))
        return user if password == "right" else None

    def on_data(self, session: ServerSession, envelope: Envelope) -> Any:
        self.mails.append(envelope)
        self.tls.append(session.tls)
        return Reply(250, "2.0.0", f"Ok: mail {len(self.mails)}")


class Running:
    """A server that runs; `call` runs something on its loop."""

    def __init__(self, server: SmtpServer, address: tuple[str, int], loop: asyncio.AbstractEventLoop) -> None:
        self.server, self.address, self.loop = server, address, loop

    def call(self, make: Callable[[], Any]) -> Any:
        async def run() -> Any:
            value = make()
            return await value if asyncio.iscoroutine(value) else value

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(TIMEOUT)

    def client(self) -> Raw:
        return Raw(self.address)


@contextlib.contextmanager
def serving(
    handler: Handler, options: ServerOptions | None = None, *, loop: str = "uvloop", **changes: Any
) -> Iterator[Running]:
    options = replace(options or ServerOptions(hostname="mail.test"), **changes)
    ready: list[Running] = []
    is_ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        server = SmtpServer(handler, options)
        address = await server.start(("127.0.0.1", 0))
        ready.append(Running(server, address, asyncio.get_running_loop()))
        is_ready.set()
        await stop.wait()
        await server.stop(0)

    def run() -> None:
        factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert is_ready.wait(TIMEOUT)
    try:
        yield ready[0]
    finally:
        ready[0].loop.call_soon_threadsafe(stop.set)
        thread.join(TIMEOUT)
        assert not thread.is_alive()


class Raw:
    """A client over a bare socket. Replies come as one string, lines joined by a line feed."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def reply(self) -> str:
        """The next reply; "" when the server has closed."""
        lines: list[str] = []
        while True:
            line = self.file.readline(10_000)
            if line:
                assert line.endswith(b"\r\n"), line
                lines.append(line[:-2].decode("ascii"))
            if not line or line[3:4] != b"-":
                return "\n".join(lines)

    def say(self, line: str | bytes) -> str:
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.reply()

    def greet(self) -> Raw:
        assert self.reply().startswith("220 ")
        assert self.say("EHLO client.test").startswith("250-")
        return self

    def data(self, *recipients: str) -> Raw:
        """All up to the 354."""
        assert self.say("MAIL FROM:<a@client.test>").startswith("250 ")
        for recipient in recipients or ("b@mail.test",):
            assert self.say(f"RCPT TO:<{recipient}>").startswith("250 ")
        assert self.say("DATA").startswith("354 ")
        return self

    def is_closed(self) -> bool:
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True
