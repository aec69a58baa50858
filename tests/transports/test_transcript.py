"""What can be read of a conversation afterwards: all that was said, no mail, no password."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace

import pytest

from queueapp.transports.base import Endpoint, Envelope, Options, SessionFailed
from queueapp.transports.smtp.client import Session
from queueapp.transports.smtp.transcript import MAX_LINE, MAX_TEXT
from tests.transports.certificates import Certificates
from tests.transports.scripted import (
    GREETING,
    OPENED,
    OPENED_STEPWISE,
    QUIT,
    ScriptedServer,
    break_handshake,
    close,
    hang,
    starttls,
)
from tests.transports.test_transaction import (
    DATA,
    DOT,
    MAIL,
    NO_USER,
    ONE,
    OPTIONS,
    QUICK,
    RCPT,
    TRANSACTION,
    send,
)

LATER = (".", "451 4.3.0 later")
THREE = replace(ONE, recipients=("b@test", "c@test", "d@test"))
AUTH_EHLO = ("EHLO ", "250-scripted\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN")
LOGIN = replace(OPTIONS, username="relay-user", password="s3cret-word")
PLAIN = b64encode(b"\0relay-user\0s3cret-word").decode()


def plain(text: str) -> list[str]:
    """Without the seconds."""
    assert all(re.match(r" *\d+\.\d{3} (C:|S:|\*\*) |          \*\* ", line) for line in text.split("\n")), (
        text
    )
    return [line[10:] for line in text.split("\n")]


async def failed(server: ScriptedServer, options: Options = OPTIONS) -> str:
    with pytest.raises(SessionFailed) as caught:
        await Session.open(server.endpoint, options)
    return caught.value.outcome.transcript


@pytest.mark.parametrize("opened", [OPENED, OPENED_STEPWISE], ids=["pipelined", "step by step"])
def test_it_tells_the_whole_conversation(run, opened):
    async def main():
        async with ScriptedServer([*opened, MAIL, RCPT, DATA, LATER, QUIT]) as server:
            (outcome,) = await send(server)
            port = server.port
        lines = plain(outcome.transcript)
        assert lines[:4] == [
            f"** connecting to localhost [127.0.0.1] port {port}",
            "** connected, from 127.0.0.1",
            "S: 220 scripted ESMTP",
            "C: EHLO client.test",
        ]
        begin = next(n for n, line in enumerate(lines) if line.startswith("** this mail begins"))
        assert lines[begin + 1 :] == [
            "C: MAIL FROM:<a@test>" + (" BODY=8BITMIME" if ONE.is_8bit else ""),
            "S: 250 2.1.0 ok",
            "C: RCPT TO:<b@test>",
            "S: 250 2.1.5 ok",
            "C: DATA",
            "S: 354 go",
            f"C: … {len(ONE.content)} bytes of mail, and the final dot",
            "S: 451 4.3.0 later",
        ]
        assert ("pipelined" in lines[begin]) == (opened is OPENED)

    run(main())


def test_it_says_nothing_of_what_was_delivered_unless_asked(run):
    async def main():
        for mode, is_told in (("failed", False), ("all", True), ("off", False)):
            async with ScriptedServer([*OPENED, *TRANSACTION, QUIT]) as server:
                (outcome,) = await send(server, options=replace(OPTIONS, transcripts=mode))
            assert outcome.result == "delivered"
            assert bool(outcome.transcript) is is_told

    run(main())


def test_it_can_be_switched_off(run):
    async def main():
        off = replace(OPTIONS, transcripts="off")
        async with ScriptedServer(
            [*OPENED, MAIL, RCPT, DATA, LATER, QUIT], [(None, "554 go away")]
        ) as server:
            (outcome,) = await send(server, options=off)
            assert outcome.transcript == ""
            assert await failed(server, off) == ""

    run(main())


def test_it_shows_each_recipient_its_own_line_and_counts_the_others(run):
    async def main():
        steps = [*OPENED, MAIL, RCPT, NO_USER, ("RCPT TO:<", "450 4.2.1 full"), DATA, DOT, QUIT]
        async with ScriptedServer(steps) as server:
            first, second, third = await send(server, THREE)
        assert first.transcript == ""
        lines = plain(second.transcript)
        assert "C: RCPT TO:<c@test>" in lines
        assert lines[lines.index("C: RCPT TO:<c@test>") + 1] == "S: 550 5.1.1 no such user"
        assert "b@test" not in second.transcript
        assert "d@test" not in second.transcript
        assert "** other recipients in the same transaction: 1 accepted, 1 refused" in lines
        assert "C: RCPT TO:<d@test>" in plain(third.transcript)

    run(main())


def test_it_says_what_a_kept_session_had_carried(run):
    async def main():
        steps = [*OPENED, *TRANSACTION, *TRANSACTION, MAIL, RCPT, DATA, LATER, QUIT]
        async with ScriptedServer(steps) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            for _ in range(2):
                await session.send(ONE)
            (outcome,) = await session.send(ONE)
            await session.quit()
        assert "which had carried 2 before" in outcome.transcript
        assert outcome.transcript.count("MAIL FROM") == 1

    run(main())


def test_it_shows_how_far_it_came_when_the_connection_broke(run):
    async def main():
        async with ScriptedServer([*OPENED, MAIL, ("RCPT TO:<", close)]) as server:
            (outcome,) = await send(server)
        lines = plain(outcome.transcript)
        assert lines[-3:-1] == ["C: RCPT TO:<b@test>", "C: DATA"]
        assert lines[-1].startswith("** ")
        assert "RCPT TO" in lines[-1]

    run(main())


def test_it_shows_a_dot_that_was_never_answered(run):
    async def main():
        quick = replace(OPTIONS, timeouts=replace(QUICK, data_end=0.2))
        async with ScriptedServer([*OPENED, MAIL, RCPT, DATA, (".", hang)]) as server:
            (outcome,) = await send(server, options=quick)
        assert outcome.is_ambiguous
        lines = plain(outcome.transcript)
        assert lines[-2] == f"C: … {len(ONE.content)} bytes of mail, and the final dot"
        assert "timed out" in lines[-1]

    run(main())


def test_it_holds_no_word_of_the_mail(run):
    async def main():
        mail = Envelope("a@test", ("b@test",), b"Subject: confidential\r\n\r\n" + b"private words\r\n" * 9000)
        async with ScriptedServer([*OPENED, MAIL, RCPT, DATA, LATER, QUIT]) as server:
            (outcome,) = await send(server, mail)
        assert "confidential" not in outcome.transcript
        assert "private" not in outcome.transcript
        assert f"… {len(mail.content):,} bytes of mail" in outcome.transcript

    run(main())


@pytest.mark.parametrize(
    "refusal",
    ["535 5.7.8 bad login", f"535 5.7.8 not {PLAIN} of relay-user with s3cret-word"],
    ids=["silent", "repeats"],
)
def test_it_strikes_a_login_out(run, refusal):
    async def main():
        async with ScriptedServer([GREETING, AUTH_EHLO, ("AUTH PLAIN ", refusal)]) as server:
            text = await failed(server, LOGIN)
        assert "C: AUTH PLAIN ***" in plain(text)
        for secret in (PLAIN, "s3cret-word", "relay-user", b64encode(b"s3cret-word").decode()):
            assert secret not in text

    run(main())


def test_it_strikes_out_a_login_in_steps(run):
    async def main():
        ehlo = ("EHLO ", "250-scripted\r\n250 AUTH LOGIN")
        steps = [GREETING, ehlo, ("AUTH LOGIN", "334 VXNlcm5hbWU6"), ("", "334 UGFzc3dvcmQ6"), ("", "535 no")]
        async with ScriptedServer(steps) as server:
            text = await failed(server, LOGIN)
        said = [line for line in plain(text) if line.startswith("C:")]
        assert said[1:] == ["C: AUTH LOGIN", "C: ***", "C: ***"]

    run(main())


def test_it_strikes_out_a_password_that_comes_back_later(run):
    async def main():
        refusal = f"451 who said s3cret-word {PLAIN}"
        steps = [GREETING, AUTH_EHLO, ("AUTH PLAIN ", "235 ok"), ("MAIL ", refusal)]
        async with ScriptedServer([*steps, ("RCPT", "503 no"), ("DATA", "503 no"), QUIT]) as server:
            (outcome,) = await send(server, options=LOGIN)
        assert "S: 451 who said *** ***" in plain(outcome.transcript)

    run(main())


def test_it_tells_why_no_session_came_about(run):
    async def main():
        async with ScriptedServer([(None, "554-5.7.1 your address\r\n554 5.7.1 is blocked")]) as server:
            lines = plain(await failed(server))
        assert lines[-2:] == ["S: 554-5.7.1 your address", "S: 554 5.7.1 is blocked"]
        with pytest.raises(SessionFailed) as caught:
            await Session.open(Endpoint("mx.test", 1, ("127.0.0.1",)), OPTIONS)
        lines = plain(caught.value.outcome.transcript)
        assert lines[0] == "** connecting to mx.test [127.0.0.1] port 1"
        assert "refused" in lines[1].lower()

    run(main())


def test_it_names_the_encryption(run, certificates: Certificates):
    async def main():
        offers = ("EHLO ", "250-scripted\r\n250 STARTTLS")
        steps = [
            GREETING,
            offers,
            ("STARTTLS", starttls(certificates.server_context())),
            *OPENED[1:],
            MAIL,
            RCPT,
            DATA,
            LATER,
        ]
        async with ScriptedServer([*steps, QUIT]) as server:
            (outcome,) = await send(server, options=replace(OPTIONS, tls="opportunistic"))
        lines = plain(outcome.transcript)
        at = next(n for n, line in enumerate(lines) if line.startswith("** from here on encrypted: TLSv1."))
        assert lines[at + 1] == "C: EHLO client.test"

    run(main())


def test_it_tells_of_a_handshake_that_failed_and_the_second_try(run):
    async def main():
        offers = ("EHLO ", "250-scripted\r\n250 STARTTLS")
        first = [GREETING, offers, ("STARTTLS", break_handshake)]
        second = [*OPENED, MAIL, RCPT, DATA, LATER, QUIT]
        async with ScriptedServer(first, second) as server:
            (outcome,) = await send(server, options=replace(OPTIONS, tls="opportunistic"))
        lines = plain(outcome.transcript)
        assert any("TLS handshake failed" in line and "without TLS" in line for line in lines)
        assert lines.count("S: 220 scripted ESMTP") == 2

    run(main())


def test_it_stays_small_and_printable_whatever_a_server_says(run):
    async def main():
        noise = "\x1b[31m\x07‮" + "é" * 3000
        flood = "\r\n".join(f"451-{n} {'x' * 400}" for n in range(18)) + f"\r\n451 {noise}"
        steps = [*OPENED, ("MAIL ", flood), ("RCPT", "503 no"), ("DATA", "503 no"), QUIT]
        async with ScriptedServer(steps) as server:
            (outcome,) = await send(server)
        text = outcome.transcript
        assert len(text) <= MAX_TEXT + 100
        assert "characters are left out here" in text
        assert all(line.isprintable() and len(line) <= MAX_LINE + 20 for line in text.split("\n"))
        assert "220 scripted ESMTP" in text, "the head is kept"
        assert "C: DATA" in text, "and the tail"

    run(main())
