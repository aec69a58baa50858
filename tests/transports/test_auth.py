from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

import pytest

from queueapp.transports.base import Envelope, Options, SessionFailed, Timeouts
from queueapp.transports.smtp.client import Session
from tests.transports.scripted import GREETING, QUIT, ScriptedServer, break_handshake, hang

QUICK = Timeouts(connect=5, greeting=5, mail=5, rcpt=5, data_start=5, data_block=5, data_end=5, quit=1)
OPTIONS = Options("client.test", tls="none", username="joe@test", password="s3cr:t pässword", timeouts=QUICK)
TOKEN = b64encode(b"\0joe@test\0" + "s3cr:t pässword".encode()).decode()
USER, PASSWORD = b64encode(b"joe@test").decode(), b64encode("s3cr:t pässword".encode()).decode()
PLAIN = ("EHLO", "250-x\r\n250-PIPELINING\r\n250 AUTH CRAM-MD5 LOGIN PLAIN")
LOGIN = ("EHLO", "250-x\r\n250 AUTH=LOGIN")


async def failure(server, options=OPTIONS):
    with pytest.raises(SessionFailed) as caught:
        await Session.open(server.endpoint, options)
    for secret in OPTIONS.password, "s3cr", TOKEN, PASSWORD, USER, "joe@test":
        assert secret not in f"{caught.value} {caught.value.outcome}"
    return caught.value.outcome


def test_it_works(run):
    async def main():
        plain = [PLAIN, (f"AUTH PLAIN {TOKEN}", "235 2.7.0 welcome")]
        login = [LOGIN, ("AUTH LOGIN", "334 VXNlcm5hbWU6"), (USER, "334 UGFzc3dvcmQ6"), (PASSWORD, "235 ok")]
        for steps in plain, login:
            async with ScriptedServer([GREETING, *steps, QUIT]) as server:
                session = await Session.open(server.endpoint, OPTIONS)
                assert session.is_usable
                await session.quit()

    run(main())


@pytest.mark.parametrize(
    "answer", ["535 5.7.8 no", "454 4.7.0 later", "530 5.7.0 TLS first", "334 more?", "250 ok"]
)
def test_it_defers_a_refused_login(run, answer):
    async def main():
        async with ScriptedServer([GREETING, PLAIN, ("AUTH PLAIN", answer)]) as server:
            outcome = await failure(server)
        assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "authentication", "auth")
        assert outcome.code == int(answer[:3])

    run(main())


def test_it_defers_a_login_refused_half_way(run):
    async def main():
        async with ScriptedServer(
            [GREETING, LOGIN, ("AUTH LOGIN", "334 VXNlcm5hbWU6"), (USER, "535 no")]
        ) as server:
            outcome = await failure(server)
        assert (outcome.result, outcome.reply_class, outcome.code) == ("deferred", "authentication", 535)

    run(main())


def test_it_never_repeats_the_credentials(run):
    async def main():
        echo = (
            f"535 5.7.8 AUTH PLAIN {TOKEN} for joe@test with {OPTIONS.password} ({PASSWORD}, {USER}) failed"
        )
        async with ScriptedServer([GREETING, PLAIN, ("AUTH", echo)]) as server:
            outcome = await failure(server)
        assert outcome.text == "AUTH PLAIN *** for *** with *** (***, ***) failed"
        assert OPTIONS.password not in repr(OPTIONS)
        assert OPTIONS.username not in repr(OPTIONS)

    run(main())


def test_it_defers_where_no_usable_mechanism_is_offered(run):
    async def main():
        for ehlo, text in (
            (("EHLO", "250-x\r\n250 AUTH CRAM-MD5 NTLM"), "but CRAM-MD5, NTLM"),
            (("EHLO", "250 x"), "but no AUTH at all"),
        ):
            async with ScriptedServer([GREETING, ehlo]) as server:
                outcome = await failure(server)
            assert (outcome.result, outcome.reply_class, outcome.stage) == (
                "deferred",
                "authentication",
                "auth",
            )
            assert text in outcome.text

    run(main())


def test_it_never_sends_the_password_over_a_connection_that_lost_its_tls(run):
    async def main():
        options = replace(OPTIONS, tls="opportunistic")
        with_tls = ("EHLO", "250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN")
        for steps in ([PLAIN], [with_tls, ("STARTTLS", "454 no")], [with_tls, ("STARTTLS", break_handshake)]):
            async with ScriptedServer([GREETING, *steps]) as server:
                outcome = await failure(server, options)
            assert (outcome.result, outcome.reply_class) == ("deferred", "tls")
            assert not any(line.startswith("AUTH") for line in server.lines)
            assert server.n_connections == 1

    run(main())


def test_it_says_when_the_login_is_not_answered(run):
    async def main():
        options = replace(OPTIONS, timeouts=replace(QUICK, greeting=0.2))
        async with ScriptedServer([GREETING, PLAIN, ("AUTH", hang)]) as server:
            outcome = await failure(server, options)
        assert (outcome.reply_class, outcome.stage) == ("connection", "auth")
        assert outcome.text == "timed out after 0.2 s waiting for the reply to AUTH"

    run(main())


def test_it_does_not_log_in_without_a_user_name(run):
    async def main():
        script = [
            GREETING,
            PLAIN,
            ("MAIL", "250 ok"),
            ("RCPT", "250 ok"),
            ("DATA", "354 go"),
            (".", "250 ok"),
            QUIT,
        ]
        async with ScriptedServer(script) as server:
            session = await Session.open(server.endpoint, replace(OPTIONS, username="", password=""))
            (outcome,) = await session.send(Envelope("a@test", ("b@test",), b"hello\r\n"))
            await session.quit()
        assert outcome.result == "delivered"

    run(main())
