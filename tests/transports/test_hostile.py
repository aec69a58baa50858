"""Servers that send what no server should: the outcome is `protocol`, in bounded time and memory."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from dataclasses import replace

import pytest

from queueapp.transports.base import Envelope, Options, SessionFailed, Timeouts
from queueapp.transports.smtp.client import Session
from tests.transports.scripted import GREETING, OPENED, QUIT, ScriptedServer, flood, hang, trickle

QUICK = Timeouts(connect=5, greeting=5, mail=5, rcpt=5, data_start=5, data_block=5, data_end=5, quit=1)
OPTIONS = Options("client.test", tls="none", timeouts=QUICK)
ONE = Envelope("a@test", ("b@test",), b"hello\r\n")
MAIL, RCPT, DATA = ("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go")
GARBAGE = [
    b"garbage\r\n",
    b"\r\n",
    b"250ok\r\n",
    b"999 x\r\n",
    b"100 continue\r\n",
    b"2\xb50 x\r\n",
    b"\0\0\0\0\r\n",
]


async def send(server, options=OPTIONS, on_dot=None):
    session = await Session.open(server.endpoint, options)
    outcomes = await session.send(ONE, on_dot)
    assert not session.is_usable
    session.abort()
    return outcomes


async def failure(server, options=OPTIONS):
    with pytest.raises(SessionFailed) as caught:
        await Session.open(server.endpoint, options)
    return caught.value.outcome


@pytest.mark.parametrize("garbage", GARBAGE)
def test_it_takes_garbage_for_a_breach_of_protocol_at_each_stage(run, garbage):
    async def main():
        for before, stage in ([], "greeting"), ([GREETING], "ehlo"):
            script = [*before, ("EHLO" if before else None, garbage), (None, hang)]
            async with ScriptedServer(script) as server:
                outcome = await failure(server)
            assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "protocol", stage)
        for before, line, stage in (
            ([], "MAIL", "mail"),
            ([MAIL], "RCPT", "rcpt"),
            ([MAIL, RCPT], "DATA", "data"),
            ([MAIL, RCPT, DATA], ".", "dot"),
        ):
            async with ScriptedServer([*OPENED, *before, (line, garbage), (None, hang)]) as server:
                (outcome,) = await send(server)
            assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "protocol", stage)
            assert outcome.is_ambiguous == (stage == "dot")
            assert outcome.text.isprintable()

    run(main())


def test_it_keeps_only_a_bounded_part_of_a_long_reply(run):
    async def main():
        long_line = b"550 5.1.1 " + b"x" * 50_000 + b"\r\n"
        async with ScriptedServer([*OPENED, MAIL, ("RCPT", long_line), ("DATA", "503 no"), QUIT]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            (outcome,) = await session.send(ONE)
            await session.quit()
        assert (outcome.result, outcome.reply_class) == ("bounced", "no_such_user")
        assert 500 < len(outcome.text) <= 1000

    run(main())


@pytest.mark.parametrize("piece", [b"x" * 65536, b"250-go on\r\n" * 5000, b"250-" + b"y" * 9000 + b"\r\n"])
def test_it_ends_a_session_whose_reply_does_not_end(run, piece):
    async def main():
        async with ScriptedServer([*OPENED, ("MAIL", b"250-"), (None, flood(piece, 100_000_000))]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            tracemalloc.start()
            (outcome,) = await session.send(ONE)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert not session.is_usable
        assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "protocol", "mail")
        assert "longer than 65536 octets" in outcome.text
        assert peak < 10_000_000

    run(main())


def test_it_ends_a_session_that_answers_without_end(run):
    async def main():
        async with ScriptedServer(
            [*OPENED, MAIL, RCPT, ("DATA", flood(b"250 ok\r\n" * 100, 50_000_000))]
        ) as server:
            (outcome,) = await send(server)
        assert (outcome.result, outcome.reply_class) == ("deferred", "protocol")

    run(main())


def test_it_does_not_gather_answers_while_it_is_idle(run):
    async def main():
        chatter = flood(b"250 ok\r\n" * 1000, 8_000_000)
        tracemalloc.start()
        async with ScriptedServer([*OPENED, (None, chatter)]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            await server.finished()  # the flood is over, or we hung up on it
            assert not session.is_usable
            session.abort()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 5_000_000

    run(main())


def test_it_waits_for_a_reply_no_longer_than_allowed_however_it_trickles(run):
    async def main():
        options = replace(OPTIONS, timeouts=replace(QUICK, mail=0.5))
        async with ScriptedServer(
            [*OPENED, ("MAIL", trickle(b"250 " + b"x" * 500, 0.02)), (None, hang)]
        ) as server:
            began = time.monotonic()
            (outcome,) = await send(server, options)
            assert 0.4 < time.monotonic() - began < 5
        assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "connection", "mail")
        assert outcome.text == "timed out after 0.5 s waiting for the reply to MAIL FROM"

    run(main())


def test_it_reads_a_reply_that_trickles_in_time(run):
    async def main():
        trickled = [(line, trickle(answer, 0.001)) for line, answer in (
            ("MAIL", b"250-a\r\n250-b\r\n250 c\r\n"), ("RCPT", b"250\r\n"), ("DATA", b"354 go\n"),
            (".", b"250-2.0.0 one\r\n250 2.0.0 two\r\n"),
        )]  # fmt: skip
        async with ScriptedServer([*OPENED, *trickled, (None, hang)]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            (outcome,) = await session.send(ONE)
            session.abort()
        assert (outcome.result, outcome.text) == ("delivered", "one two")

    run(main())


def test_it_makes_nuls_and_controls_harmless(run):
    async def main():
        nasty = b"550 5.7.1 a\0b\x1b[31mc\x07 \xe2\x80\xae\xff\xfe d\r\n"
        async with ScriptedServer([*OPENED, MAIL, ("RCPT", nasty), ("DATA", "503 no"), QUIT]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            (outcome,) = await session.send(ONE)
            await session.quit()
        assert outcome.result == "bounced"
        assert outcome.text.isprintable()
        outcome.text.encode()

    run(main())


def test_it_notices_more_answers_than_recipients(run):
    async def main():
        """The late 250 for RCPT would otherwise pass for the answer to DATA, or to the dot."""
        called = []
        async with ScriptedServer(
            [*OPENED, MAIL, ("RCPT", "250 ok\r\n250 ok"), ("DATA", "354 go"), (None, hang)]
        ) as server:
            (outcome,) = await send(server, on_dot=called.append)
        assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "protocol", "data")
        async with ScriptedServer(
            [*OPENED, MAIL, RCPT, ("DATA", "354 go\r\n250 ok"), (None, hang)]
        ) as server:
            (outcome,) = await send(server, on_dot=called.append)
        assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "protocol", "data")
        assert called == []

    run(main())


def test_it_believes_the_no_where_the_dot_got_two_answers(run):
    async def main():
        for answers, expected in (
            ("250 ok\r\n550 5.7.1 spam", ("bounced", 550)),
            ("250 one\r\n250 two", ("delivered", 250)),
            ("250 one\r\n421 4.3.2 closing", ("delivered", 250)),
        ):
            async with ScriptedServer([*OPENED, MAIL, RCPT, DATA, (".", answers), (None, hang)]) as server:
                (outcome,) = await send(server)
            assert (outcome.result, outcome.code) == expected

    run(main())


def test_it_does_not_bounce_mail_for_what_a_server_says_unasked(run):
    async def main():
        async with ScriptedServer([*OPENED, (None, "554 5.7.1 go away"), (None, hang)]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            for _ in range(500):
                if not session.is_usable:
                    break
                await asyncio.sleep(0.01)
            (outcome,) = await session.send(ONE)
        assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "protocol", "mail")

    run(main())


@pytest.mark.parametrize("answer", ["354 go", "334 what"])
def test_it_does_not_take_3xx_for_yes(run, answer):
    async def main():
        for before, line, stage in (
            ([], "MAIL", "mail"),
            ([MAIL], "RCPT", "rcpt"),
            ([MAIL, RCPT, DATA], ".", "dot"),
        ):
            async with ScriptedServer([*OPENED, *before, (line, answer), (None, hang)]) as server:
                (outcome,) = await send(server)
            assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "protocol", stage)
            assert outcome.is_ambiguous == (stage == "dot")

    run(main())


def test_it_survives_an_absurd_ehlo(run):
    async def main():
        lines = [
            b"250-AUTH",
            b"250-SIZE -5",
            b"250-SIZE 99999999999999999999999999",
            b"250-",
            b"250- ",
            b"250-\xff\0",
        ]
        ehlo = b"\r\n".join([b"250-x", *lines, b"250 PIPELINING " + b"Z" * 3000]) + b"\r\n"
        script = [
            GREETING,
            ("EHLO", ehlo),
            ("MAIL FROM:<a@test> SIZE=7", "250 ok"),
            RCPT,
            DATA,
            (".", "250 ok"),
            QUIT,
        ]
        async with ScriptedServer(script) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            (outcome,) = await session.send(ONE)
            await session.quit()
        assert outcome.result == "delivered"

    run(main())
