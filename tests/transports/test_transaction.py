from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from queueapp.transports.base import Envelope, Options, Timeouts
from queueapp.transports.smtp.client import Session
from tests.transports.scripted import (
    OPENED,
    OPENED_STEPWISE,
    QUIT,
    ScriptedServer,
    Step,
    close,
    hang,
    reset,
    stop_reading,
)

QUICK = Timeouts(connect=5, greeting=5, mail=5, rcpt=5, data_start=5, data_block=5, data_end=5, quit=1)
OPTIONS = Options("client.test", tls="none", timeouts=QUICK)
ONE = Envelope("a@test", ("b@test",), b"Subject: x\r\n\r\nhello\r\n")
TWO = Envelope("a@test", ("b@test", "c@test"), b"hello\r\n")

MAIL: Step = ("MAIL FROM:<a@test>", "250 2.1.0 ok")
RCPT: Step = ("RCPT TO:<", "250 2.1.5 ok")
DATA: Step = ("DATA", "354 go")
DOT: Step = (".", "250 2.0.0 queued as 1")
RSET: Step = ("RSET", "250 2.0.0 ok")
NO_USER: Step = ("RCPT TO:<", "550 5.1.1 no such user")
TRANSACTION = [MAIL, RCPT, DATA, DOT]


async def send(server, envelope=ONE, options=OPTIONS, on_dot=None):
    session = await Session.open(server.endpoint, options)
    try:
        return await session.send(envelope, on_dot)
    finally:
        await session.quit()


def results(outcomes):
    return [(o.result, o.reply_class, o.stage) for o in outcomes]


def test_it_works(run):
    async def main():
        async with ScriptedServer([*OPENED, *TRANSACTION, QUIT]) as server:
            (outcome,) = await send(server)
        assert (outcome.result, outcome.reply_class, outcome.code) == ("delivered", "delivered", 250)
        assert (outcome.enhanced, outcome.text, outcome.stage) == ("2.0.0", "queued as 1", "dot")
        assert (outcome.host, outcome.address, outcome.source) == ("localhost", "127.0.0.1", "127.0.0.1")
        assert server.contents == [ONE.content]

    run(main())


def test_it_sends_the_envelope_in_one_write_where_pipelining_is_offered(run):
    async def main():
        group = []

        async def take_all(reader, writer):
            group.append(await reader.read(65536))
            writer.write(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")

        async with ScriptedServer([*OPENED, (None, take_all), DOT, QUIT]) as server:
            outcomes = await send(server, TWO)
        assert group == [b"MAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\nRCPT TO:<c@test>\r\nDATA\r\n"]
        assert [o.result for o in outcomes] == ["delivered", "delivered"]

    run(main())


def test_it_goes_step_by_step_where_it_is_not(run):
    async def main():
        seen = []

        async def one_line(reader, writer):
            seen.append(await reader.read(65536))
            writer.write(b"354 go\r\n" if seen[-1] == b"DATA\r\n" else b"250 ok\r\n")

        steps = [(None, one_line)] * 4
        async with ScriptedServer([*OPENED_STEPWISE, *steps, DOT, QUIT]) as server:
            outcomes = await send(server, TWO)
        assert seen == [
            b"MAIL FROM:<a@test>\r\n", b"RCPT TO:<b@test>\r\n", b"RCPT TO:<c@test>\r\n", b"DATA\r\n",
        ]  # fmt: skip
        assert [o.result for o in outcomes] == ["delivered", "delivered"]

    run(main())


def test_it_sends_several_messages_over_one_session(run):
    async def main():
        async with ScriptedServer([*OPENED, *TRANSACTION, *TRANSACTION, *TRANSACTION, QUIT]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            for _ in range(3):
                assert session.is_usable
                (outcome,) = await session.send(ONE)
                assert outcome.result == "delivered"
            await session.quit()
            assert not session.is_usable
        assert server.n_connections == 1

    run(main())


def test_it_sends_the_null_sender(run):
    async def main():
        async with ScriptedServer([*OPENED, ("MAIL FROM:<>", "250 ok"), RCPT, DATA, DOT, QUIT]) as server:
            (outcome,) = await send(server, replace(ONE, sender=""))
        assert outcome.result == "delivered"

    run(main())


def test_it_delivers_to_those_that_were_not_refused(run):
    async def main():
        seen = []
        script = [*OPENED, MAIL, NO_USER, RCPT, DATA, DOT, QUIT]
        async with ScriptedServer(script) as server:
            outcomes = await send(server, TWO, on_dot=seen.append)
        assert results(outcomes) == [("bounced", "no_such_user", "rcpt"), ("delivered", "delivered", "dot")]
        assert seen == [[1]]

    run(main())


def test_it_ends_an_empty_transaction_with_a_lone_dot_and_stays_in_step(run):
    async def main():
        script = [*OPENED, MAIL, NO_USER, DATA, (".", "554 5.5.1 no valid recipients"), *TRANSACTION, QUIT]
        async with ScriptedServer(script) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            called = []
            (first,) = await session.send(ONE, called.append)
            assert session.is_usable
            (second,) = await session.send(ONE, called.append)
            await session.quit()
        assert (first.result, first.code, first.stage) == ("bounced", 550, "rcpt")
        assert second.result == "delivered"
        assert called == [[0]]
        assert server.contents == [b"", ONE.content]

    run(main())


def test_it_resets_after_a_failed_transaction(run):
    async def main():
        refused = [MAIL, NO_USER, ("DATA", "503 5.5.1 no valid recipients"), RSET]
        async with ScriptedServer([*OPENED, *refused, *TRANSACTION, QUIT]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            (first,) = await session.send(ONE)
            (second,) = await session.send(ONE)
            await session.quit()
        assert results([first, second]) == [
            ("bounced", "no_such_user", "rcpt"),
            ("delivered", "delivered", "dot"),
        ]

    run(main())


def test_it_resets_step_by_step_too(run):
    async def main():
        script = [*OPENED_STEPWISE, MAIL, NO_USER, RSET, *TRANSACTION, QUIT]
        async with ScriptedServer(script) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            (first,) = await session.send(ONE)
            (second,) = await session.send(ONE)
            await session.quit()
        assert (first.result, second.result) == ("bounced", "delivered")

    run(main())


def test_it_gives_the_answer_to_mail_to_every_recipient(run):
    async def main():
        follow_up = [
            ("RCPT", "503 5.5.1 MAIL first"),
            ("RCPT", "503 5.5.1 MAIL first"),
            ("DATA", "503 5.5.1 no"),
        ]
        refusal = ("MAIL FROM:<a@test>", "451 4.3.0 try later")
        async with ScriptedServer([*OPENED, refusal, *follow_up, QUIT]) as server:
            outcomes = await send(server, TWO)
        assert [(o.result, o.code, o.text, o.stage) for o in outcomes] == [
            ("deferred", 451, "try later", "mail")
        ] * 2

    run(main())


def test_it_gives_the_answer_to_data_to_those_accepted(run):
    async def main():
        script = [*OPENED, MAIL, NO_USER, RCPT, ("DATA", "452 4.3.1 no space"), QUIT]
        async with ScriptedServer(script) as server:
            outcomes = await send(server, TWO)
        assert [(o.result, o.code, o.stage) for o in outcomes] == [
            ("bounced", 550, "rcpt"),
            ("deferred", 452, "data"),
        ]

    run(main())


def test_it_gives_the_answer_to_the_dot_to_those_accepted(run):
    async def main():
        script = [*OPENED, MAIL, RCPT, NO_USER, DATA, (".", "550 5.7.1 looks like spam"), QUIT]
        async with ScriptedServer(script) as server:
            outcomes = await send(server, TWO)
        assert [(o.result, o.code, o.stage, o.is_ambiguous) for o in outcomes] == [
            ("bounced", 550, "dot", False),
            ("bounced", 550, "rcpt", False),
        ]
        assert outcomes[0].reply_class == "content"

    run(main())


def test_it_takes_421_as_the_end_of_the_session_for_all_that_is_open(run):
    async def main():
        three = replace(ONE, recipients=("b@test", "c@test", "d@test"))
        closing = ("RCPT", "421 4.7.0 too many errors")
        async with ScriptedServer([*OPENED, MAIL, RCPT, NO_USER, closing, (None, hang)]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            outcomes = await session.send(three)
            assert not session.is_usable
        assert [(o.result, o.code) for o in outcomes] == [
            ("deferred", 421),
            ("bounced", 550),
            ("deferred", 421),
        ]

    run(main())


def test_it_takes_421_after_the_dot_as_an_answer(run):
    async def main():
        async with ScriptedServer(
            [*OPENED, *TRANSACTION[:-1], (".", "421 4.3.2 going down"), (None, hang)]
        ) as server:
            (outcome,) = await send(server)
        assert (outcome.result, outcome.code, outcome.stage, outcome.is_ambiguous) == (
            "deferred",
            421,
            "dot",
            False,
        )

    run(main())


def test_it_notices_a_session_that_was_closed_while_idle(run):
    async def main():
        async with ScriptedServer([*OPENED, *TRANSACTION, (None, "421 4.4.2 idle"), (None, close)]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            await session.send(ONE)
            for _ in range(500):
                if not session.is_usable:
                    break
                await asyncio.sleep(0.01)
            assert not session.is_usable
            (outcome,) = await session.send(ONE)
        assert (outcome.result, outcome.stage, outcome.is_ambiguous) == ("deferred", "mail", False)

    run(main())


def test_it_defers_when_the_connection_is_lost_before_the_dot(run):
    async def main():
        for end in close, reset:
            async with ScriptedServer([*OPENED, MAIL, ("RCPT", end)]) as server:
                called = []
                (outcome,) = await send(server, on_dot=called.append)
            assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "connection", "rcpt")
            assert not outcome.is_ambiguous
            assert called == []

    run(main())


def test_it_is_ambiguous_when_the_connection_is_lost_after_the_dot(run):
    async def main():
        for end in close, reset:
            called = []
            async with ScriptedServer([*OPENED, MAIL, NO_USER, RCPT, DATA, (".", end)]) as server:
                first, second = await send(server, TWO, on_dot=called.append)
            assert (first.result, first.is_ambiguous) == ("bounced", False)
            assert (second.result, second.reply_class, second.stage) == ("deferred", "connection", "dot")
            assert second.is_ambiguous
            assert "the final dot" in second.text
            assert called == [[1]]

    run(main())


def test_it_is_ambiguous_when_no_reply_to_the_dot_comes_in_time(run):
    async def main():
        options = replace(OPTIONS, timeouts=replace(QUICK, data_end=0.2))
        async with ScriptedServer([*OPENED, MAIL, RCPT, DATA, (".", hang)]) as server:
            (outcome,) = await send(server, options=options)
        assert (outcome.result, outcome.reply_class, outcome.is_ambiguous) == ("deferred", "connection", True)
        assert outcome.text == "timed out after 0.2 s waiting for the reply to the final dot"

    run(main())


def test_it_says_what_timed_out_at_each_stage(run):
    async def main():
        stages = {
            "mail": ([], "mail", "MAIL FROM"),
            "rcpt": ([MAIL], "rcpt", "RCPT TO"),
            "data_start": ([MAIL, RCPT], "data", "DATA"),
        }
        for opened in OPENED, OPENED_STEPWISE:
            for setting, (before, stage, name) in stages.items():
                options = replace(OPTIONS, timeouts=replace(QUICK, **{setting: 0.1}))
                async with ScriptedServer([*opened, *before, (None, hang)]) as server:
                    (outcome,) = await send(server, options=options)
                assert (outcome.result, outcome.reply_class, outcome.stage) == (
                    "deferred",
                    "connection",
                    stage,
                )
                assert outcome.text == f"timed out after 0.1 s waiting for the reply to {name}"

    run(main())


def test_it_gives_each_reply_its_own_time(run):
    async def main():
        def after(seconds, answer):
            async def answer_late(_reader, writer):
                await asyncio.sleep(seconds)
                writer.write(answer)

            return answer_late

        options = replace(OPTIONS, timeouts=replace(QUICK, mail=0.3, rcpt=5, data_start=0.3, data_end=5))
        slow = [MAIL, ("RCPT", after(0.5, b"250 ok\r\n")), DATA, (".", after(0.5, b"250 ok\r\n")), QUIT]
        for opened in OPENED, OPENED_STEPWISE:
            async with ScriptedServer([*opened, *slow]) as server:
                (outcome,) = await send(server, options=options)
            assert outcome.result == "delivered"

    run(main())


def test_it_gives_up_on_a_server_that_takes_no_more_of_a_large_body(run):
    async def main():
        options = replace(OPTIONS, timeouts=replace(QUICK, data_block=0.3))
        large = replace(ONE, content=b"x" * 70 + b"\r\n" + b"y" * 30_000_000)
        called = []
        async with ScriptedServer([*OPENED, MAIL, RCPT, DATA, (None, stop_reading)]) as server:
            (outcome,) = await send(server, large, options, called.append)
        assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "connection", "data")
        assert outcome.text == "timed out after 0.3 s waiting for the server to take more of the message"
        assert called == []
        assert not outcome.is_ambiguous

    run(main())


def test_it_takes_an_answer_ahead_of_the_dot_as_the_answer(run):
    async def main():
        async def too_big(reader, writer):
            await reader.read(1000)
            writer.write(b"552 5.3.4 message too big\r\n")
            await writer.drain()

        large = replace(ONE, content=b"y" * 70 + b"\r\n" + b"y" * 30_000_000)
        called = []
        async with ScriptedServer([*OPENED, MAIL, RCPT, DATA, (None, too_big), (None, hang)]) as server:
            (outcome,) = await send(server, large, on_dot=called.append)
        assert (outcome.result, outcome.reply_class, outcome.stage) == ("bounced", "too_large", "data")
        assert called == []

    run(main())


def test_it_sends_large_bodies_whole(run):
    async def main():
        for size in (65536 - 5, 65536 - 4, 65536 - 3, 65536, 65537, 131072, 1_000_003):
            line = b"." + b"z" * 76 + b"\r\n"
            content = (line * (size // len(line) + 1))[: size - 2] + b"\r\n"
            called = []
            async with ScriptedServer([*OPENED, *TRANSACTION, QUIT]) as server:
                (outcome,) = await send(server, replace(ONE, content=content), on_dot=called.append)
            assert outcome.result == "delivered"
            assert server.contents == [content]
            assert called == [[0]]

    run(main())


def test_it_hands_out_no_part_of_the_dot_before_on_dot(run):
    async def main():
        def stop(_indexes):
            raise OSError("disk full")

        for size in (100, 65530, *range(65534, 65544), 200_000):
            got = []

            async def take(reader, _writer, got=got):
                got.append(await reader.read(-1))

            content = (b"abcdefgh\r\n" * (size // 10 + 1))[: size - 2] + b"\r\n"
            async with ScriptedServer([*OPENED, MAIL, RCPT, DATA, (None, take)]) as server:
                session = await Session.open(server.endpoint, OPTIONS)
                with pytest.raises(OSError, match="disk full"):
                    await session.send(replace(ONE, content=content), stop)
            assert content.startswith(got[0])
            assert size < 65538 or got[0]

    run(main())


def test_it_passes_on_what_on_dot_raises_and_the_mail_does_not_leave(run):
    async def main():
        def no_journal(_indexes):
            raise OSError("disk full")

        async with ScriptedServer([*OPENED, MAIL, RCPT, DATA, (".", hang)]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            with pytest.raises(OSError, match="disk full"):
                await session.send(ONE, no_journal)
            assert not session.is_usable
        assert server.contents == []

    run(main())


def test_it_refuses_a_mail_that_is_larger_than_the_server_takes(run):
    async def main():
        ehlo = ("EHLO", "250-x\r\n250-PIPELINING\r\n250 SIZE 100")
        fitting = [("MAIL FROM:<a@test> SIZE=100", "250 ok"), *TRANSACTION[1:]]
        async with ScriptedServer([OPENED[0], ehlo, *fitting, QUIT]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            large, small = (
                replace(ONE, content=b"x" * 99 + b"\r\n"),
                replace(ONE, content=b"x" * 98 + b"\r\n"),
            )
            (refused,) = await session.send(large)
            (taken,) = await session.send(small)
            await session.quit()
        assert (refused.result, refused.reply_class, refused.enhanced) == ("bounced", "too_large", "5.3.4")
        assert "101 octets" in refused.text
        assert "100 at most" in refused.text
        assert taken.result == "delivered"

    run(main())


def test_it_refuses_no_size_where_the_server_names_no_limit(run):
    async def main():
        ehlo = ("EHLO", "250-x\r\n250-PIPELINING\r\n250 SIZE")
        mail = (f"MAIL FROM:<a@test> SIZE={len(ONE.content)}", "250 ok")
        async with ScriptedServer([OPENED[0], ehlo, mail, *TRANSACTION[1:], QUIT]) as server:
            (outcome,) = await send(server)
        assert outcome.result == "delivered"

    run(main())


def test_it_says_body_8bitmime_where_offered(run):
    async def main():
        eight = replace(ONE, content="grün\r\n".encode(), is_8bit=True)
        for opened, parameters in (OPENED, " BODY=8BITMIME"), (OPENED_STEPWISE, ""):
            async with ScriptedServer([*opened, *TRANSACTION, QUIT]) as server:
                (outcome,) = await send(server, eight)
            assert outcome.result == "delivered"
            assert server.lines[1] == "MAIL FROM:<a@test>" + parameters
            assert server.contents == ["grün\r\n".encode()]

    run(main())


def test_it_says_smtputf8_where_offered_and_needed(run):
    async def main():
        ehlo = ("EHLO", "250-x\r\n250-PIPELINING\r\n250 SMTPUTF8")
        utf8 = replace(ONE, recipients=("müller@test",))
        script = [
            OPENED[0],
            ehlo,
            ("MAIL FROM:<a@test> SMTPUTF8", "250 ok"),
            ("RCPT TO:<müller@test>", "250 ok"),
        ]
        async with ScriptedServer([*script, DATA, DOT, QUIT]) as server:
            (outcome,) = await send(server, utf8)
        assert outcome.result == "delivered"

    run(main())


def test_it_refuses_what_needs_smtputf8_where_it_is_not_offered(run):
    async def main():
        async with ScriptedServer([*OPENED, QUIT]) as server:
            (outcome,) = await send(server, replace(ONE, needs_utf8=True))
        assert (outcome.result, outcome.reply_class, outcome.enhanced) == ("bounced", "protocol", "5.6.7")

    run(main())


def test_it_refuses_only_the_recipient_that_needs_smtputf8(run):
    async def main():
        mixed = replace(ONE, recipients=("müller@test", "b@test"))
        async with ScriptedServer([*OPENED, *TRANSACTION, QUIT]) as server:
            outcomes = await send(server, mixed)
        assert [(o.result, o.enhanced) for o in outcomes] == [("bounced", "5.6.7"), ("delivered", "2.0.0")]

    run(main())


def test_it_never_sends_an_address_that_would_be_a_command(run):
    async def main():
        evil = (
            "b@test>\r\nRCPT TO:<c@test",
            "b@te\0st",
            "b@test> NOTIFY=NEVER",
            "",
            "b@test\ud800",
            "ok@test",
        )
        async with ScriptedServer(
            [*OPENED, MAIL, ("RCPT TO:<ok@test>", "250 ok"), DATA, DOT, QUIT]
        ) as server:
            outcomes = await send(server, replace(ONE, recipients=evil))
        assert [o.result for o in outcomes] == ["bounced"] * 5 + ["delivered"]
        assert {o.enhanced for o in outcomes[:5]} == {"5.1.3"}
        assert not any(c in o.text for o in outcomes for c in "\r\n\0\ud800")

    run(main())


def test_it_refuses_a_sender_that_would_be_a_command(run):
    async def main():
        async with ScriptedServer([*OPENED, QUIT]) as server:
            outcomes = await send(server, replace(TWO, sender="a@test>\r\nDATA"))
        assert [(o.result, o.enhanced) for o in outcomes] == [("bounced", "5.1.7")] * 2

    run(main())


def test_it_keeps_quoted_local_parts(run):
    async def main():
        rcpt = ('RCPT TO:<"a > b"@test>', "250 ok")
        async with ScriptedServer([*OPENED, MAIL, rcpt, DATA, DOT, QUIT]) as server:
            (outcome,) = await send(server, replace(ONE, recipients=('"a > b"@test',)))
        assert outcome.result == "delivered"

    run(main())


def test_it_sends_to_a_thousand_recipients(run):
    async def main():
        many = replace(ONE, recipients=tuple(f"user{n}@a-rather-long-domain-name.test" for n in range(1000)))
        rcpts = [("RCPT TO:<", "550 5.1.1 no" if n % 10 == 3 else "250 2.1.5 ok") for n in range(1000)]
        async with ScriptedServer([*OPENED, MAIL, *rcpts, DATA, DOT, QUIT]) as server:
            outcomes = await send(server, many)
        assert [o.result for o in outcomes] == [
            "bounced" if n % 10 == 3 else "delivered" for n in range(1000)
        ]

    run(main())


def test_it_refuses_what_needs_tls_all_the_way_over_a_session_that_cannot_promise_it(run):
    """Also where REQUIRETLS is offered in plain text, or over TLS that was not verified."""

    async def main():
        ehlo = ("EHLO", "250-x\r\n250-PIPELINING\r\n250 REQUIRETLS")
        async with ScriptedServer([OPENED[0], ehlo, QUIT]) as server:
            (outcome,) = await send(server, replace(ONE, requires_tls=True))
        assert (outcome.result, outcome.reply_class, outcome.enhanced) == ("bounced", "tls", "5.7.30")

    run(main())


def test_a_report_goes_all_the_same_without_the_promise(run):
    async def main():
        ehlo = ("EHLO", "250-x\r\n250-PIPELINING\r\n250 REQUIRETLS")
        script = [OPENED[0], ehlo, ("MAIL FROM:<>", "250 ok"), *TRANSACTION[1:], QUIT]
        async with ScriptedServer(script) as server:
            (outcome,) = await send(server, replace(ONE, sender="", requires_tls=True))
        assert outcome.result == "delivered"
        assert server.lines[1] == "MAIL FROM:<>"

    run(main())
