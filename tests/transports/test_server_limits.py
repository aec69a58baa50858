"""Limits of the server and its end: none of them may hurt other clients or lose a mail in flight."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from typing import Any

import pytest

from queueapp.transports.base import Envelope
from queueapp.transports.smtp.server import Reply, ServerSession
from tests.transports.serving import Keeper, serving


def test_it_takes_1000_recipients_and_no_more() -> None:
    keeper = Keeper()
    with serving(keeper) as server, server.client() as client:
        client.greet().send(b"MAIL FROM:<a@x.test>\r\n" + b"RCPT TO:<b@y.test>\r\n" * 1001 + b"DATA\r\n")
        replies = [client.reply() for _ in range(1003)]
        assert {reply[:9] for reply in replies[:1001]} == {"250 2.1.0", "250 2.1.5"}
        assert replies[1001].startswith("452 4.5.3 More than 1000 recipients")
        client.send(b"x\r\n.\r\n")
        assert client.reply().startswith("250 ")
    assert len(keeper.mails[0].recipients) == 1000


def test_it_closes_after_too_many_errors() -> None:
    with serving(Keeper()) as server, server.client() as client:
        client.greet()
        for _ in range(19):
            assert client.say("NOPE").startswith("500 ")
        assert client.say("NOPE").startswith("421 4.7.0 Too many errors")
        assert client.is_closed()


def test_it_forgives_errors_after_a_mail() -> None:
    with serving(Keeper(), max_errors=3) as server, server.client() as client:
        client.greet()
        for _ in range(3):
            client.say("NOPE")
            client.say("NOPE")
            client.data().send(b".\r\n")
            assert client.reply().startswith("250 ")


def test_it_does_not_count_refused_recipients_as_errors() -> None:
    class Nobody(Keeper):
        def on_rcpt(self, session: ServerSession, recipient: str) -> Reply:
            return Reply(550, "5.1.1", "Nobody is here")

    with serving(Nobody()) as server, server.client() as client:
        client.greet().say("MAIL FROM:<a@x.test>")
        for _ in range(50):
            assert client.say("RCPT TO:<b@y.test>").startswith("550 ")


def test_it_closes_idle_sessions() -> None:
    with serving(Keeper(), idle=0.2) as server:
        with server.client() as client:
            client.greet()
            assert client.reply().startswith("421 4.4.2 ")
            assert client.is_closed()
        with server.client() as client:
            client.greet().data().send(b"half a line")
            assert client.reply().startswith("421 4.4.2 ")


def test_it_closes_a_session_that_never_ends_a_line() -> None:
    """Dribbling octets is not speaking: only whole commands and content count."""
    with serving(Keeper(), idle=0.3) as server, server.client() as client:
        client.greet()
        start = time.monotonic()
        client.socket.settimeout(0.05)
        received = b""
        while not received and time.monotonic() - start < 8:
            try:
                client.send(b"N")
                received = client.socket.recv(100)
            except TimeoutError:
                continue
        assert received.startswith(b"421 4.4.2 ")


def test_it_waits_longer_than_idle_for_a_slow_hook() -> None:
    class Slow(Keeper):
        async def on_data(self, session: ServerSession, envelope: Envelope) -> Reply:
            await asyncio.sleep(0.5)
            return Reply(250, "2.0.0", "Ok")

    with serving(Slow(), idle=0.2) as server, server.client() as client:
        client.greet().data().send(b".\r\n")
        assert client.reply() == "250 2.0.0 Ok"


def test_it_limits_connections() -> None:
    with serving(Keeper(), max_connections=2) as server:
        with server.client() as one, server.client() as two:
            one.greet()
            two.greet()
            with server.client() as three:
                assert three.reply().startswith("421 4.7.0 Too many connections")
                assert three.is_closed()
            assert one.say("QUIT").startswith("221 ")
            assert one.is_closed()
        with server.client() as four:
            four.greet()


def test_it_limits_connections_of_one_client() -> None:
    with serving(Keeper(), max_per_client=1) as server, server.client() as one:
        one.greet()
        with server.client() as two:
            assert two.reply().startswith("421 4.7.0 Too many connections from your address")


def test_it_waits_for_a_client_that_does_not_read() -> None:
    """Replies that nobody reads don't pile up in memory: the server stops taking commands."""
    with serving(Keeper(), idle=60) as server, server.client() as client:
        client.greet()
        session = next(iter(server.server.sessions))
        for each in (client.socket, session._transport.get_extra_info("socket")):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        client.socket.setblocking(False)
        block, sent = b"HELP\r\n" * 10_000, 0
        deadline = time.monotonic() + 8
        blocked_since = time.monotonic()
        while time.monotonic() < deadline and time.monotonic() - blocked_since < 0.5:
            try:
                sent += client.socket.send(block[sent % 6 :])
                blocked_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert time.monotonic() < deadline, "the server never stopped reading"
        assert len(session._buffer) < 600_000
        assert server.call(lambda: session._transport.get_write_buffer_size()) < 200_000
        client.socket.settimeout(10)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        n_replies = 0
        while n_replies < sent // 6:
            n_replies += client.socket.recv(1 << 20).count(b"\n")


def test_it_cuts_off_a_client_that_never_reads() -> None:
    with serving(Keeper(), idle=0.3) as server, server.client() as client:
        client.greet()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.socket.settimeout(10)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):  # noqa: PT012
            for _ in range(20_000):
                client.send(b"HELP\r\n" * 1000)


class Gate(Keeper):
    """Answers the dot only when it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.is_waiting = threading.Event()
        self.opened: asyncio.Future[None] | None = None

    async def on_data(self, session: ServerSession, envelope: Envelope) -> Any:
        self.opened = asyncio.get_running_loop().create_future()
        self.is_waiting.set()
        await self.opened
        return super().on_data(session, envelope)


def test_it_lets_a_mail_in_flight_end_when_it_stops() -> None:
    gate = Gate()
    with serving(gate) as server, server.client() as idle, server.client() as busy:
        idle.greet()
        busy.greet().data().send(b"x\r\n.\r\nMAIL FROM:<more@x.test>\r\n")
        assert gate.is_waiting.wait(10)
        stopping = asyncio.run_coroutine_threadsafe(server.server.stop(10), server.loop)
        assert idle.reply().startswith("421 4.3.2 ")
        assert idle.is_closed()
        server.call(lambda: gate.opened.set_result(None))  # type: ignore[union-attr]
        assert busy.reply().startswith("250 ")
        rest = busy.reply()
        if rest.startswith("250 "):  # the next mail had begun already, and is in flight too
            assert busy.say("RSET").startswith("250 ")
            rest = busy.reply()
        assert rest.startswith("421 4.3.2 ")
        stopping.result(10)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(server.address, 5)


def test_it_stops_within_its_grace() -> None:
    gate = Gate()
    with serving(gate) as server, server.client() as begun, server.client() as stuck:
        begun.greet().data()
        stuck.greet().data().send(b".\r\n")
        assert gate.is_waiting.wait(10)
        start = time.monotonic()
        asyncio.run_coroutine_threadsafe(server.server.stop(0.2), server.loop).result(10)
        assert time.monotonic() - start < 3
        assert begun.reply().startswith("421 4.3.2 ")
        assert stuck.is_closed()
        assert gate.mails == []


def test_it_finishes_a_hook_whose_client_left() -> None:
    gate = Gate()
    with serving(gate) as server:
        with server.client() as client:
            client.greet().data().send(b"x\r\n.\r\n")
            assert gate.is_waiting.wait(10)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        deadline = time.monotonic() + 5
        while server.server.sessions and time.monotonic() < deadline:
            time.sleep(0.01)
        server.call(lambda: gate.opened.set_result(None))  # type: ignore[union-attr]
        while not gate.mails and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(gate.mails) == 1
