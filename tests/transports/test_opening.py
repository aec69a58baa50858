from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from queueapp.transports.base import Endpoint, Envelope, Options, SessionFailed, Timeouts
from queueapp.transports.smtp.client import Session
from tests.transports.scripted import (
    EHLO,
    GREETING,
    OPENED,
    PLAIN_EHLO,
    QUIT,
    ScriptedServer,
    break_handshake,
    close,
    hang,
    reset,
    starttls,
)

QUICK = Timeouts(connect=5, greeting=5, mail=5, rcpt=5, data_start=5, data_block=5, data_end=5, quit=1)
OPTIONS = Options("client.test", tls="none", timeouts=QUICK)
BRIEF = replace(OPTIONS, timeouts=replace(QUICK, greeting=0.2))
ONE = Envelope("a@test", ("b@test",), b"hello\r\n")
TRANSACTION = [("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go"), (".", "250 ok")]
TLS_EHLO = ("EHLO ", "250-scripted\r\n250-PIPELINING\r\n250 STARTTLS")


async def failure(endpoint, options=OPTIONS):
    with pytest.raises(SessionFailed) as caught:
        await Session.open(endpoint, options)
    return caught.value.outcome


def free_port() -> int:
    """A port where nobody listens: it was ours a moment ago."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_it_works(run):
    async def main():
        async with ScriptedServer([*OPENED, QUIT]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            assert session.is_usable
            await session.quit()
        assert server.lines == ["EHLO client.test", "QUIT"]

    run(main())


def test_it_falls_back_to_helo(run):
    async def main():
        for code in 500, 502, 504, 550:
            script = [
                GREETING,
                ("EHLO", f"{code} unknown"),
                ("HELO client.test", "250 hello"),
                *TRANSACTION,
                QUIT,
            ]
            async with ScriptedServer(script) as server:
                session = await Session.open(server.endpoint, OPTIONS)
                (outcome,) = await session.send(ONE)
                await session.quit()
            assert outcome.result == "delivered"
            assert server.lines[2] == "MAIL FROM:<a@test>"

    run(main())


@pytest.mark.parametrize(
    ("greeting", "result", "reply_class"),
    [
        ("421 4.3.2 too many connections", "deferred", "busy"),
        ("450 4.7.1 greylisted, come back", "deferred", "greylisted"),
        ("554 5.7.1 blocked using zen.spamhaus.org", "bounced", "blocklisted"),
        ("250 hello", "deferred", "protocol"),
        ("354 go", "deferred", "protocol"),
    ],
)
def test_it_gives_a_greeting_that_is_no_welcome_as_the_outcome(run, greeting, result, reply_class):
    async def main():
        async with ScriptedServer([(None, greeting)]) as server:
            outcome = await failure(server.endpoint)
        assert (outcome.result, outcome.reply_class, outcome.stage) == (result, reply_class, "greeting")
        assert (outcome.host, outcome.address, outcome.source) == ("localhost", "127.0.0.1", "127.0.0.1")

    run(main())


def test_it_gives_a_refused_ehlo_and_helo_as_the_outcome(run):
    async def main():
        for script, code in (
            ([GREETING, ("EHLO", "421 4.7.0 bye")], 421),
            ([GREETING, ("EHLO", "451 4.7.1 later")], 451),
            ([GREETING, ("EHLO", "550 5.7.1 no"), ("HELO", "550 5.7.1 bad name")], 550),
        ):
            async with ScriptedServer(script) as server:
                outcome = await failure(server.endpoint)
            assert (outcome.code, outcome.stage) == (code, "ehlo")
            assert outcome.result == ("bounced" if code == 550 else "deferred")

    run(main())


def test_it_says_that_nobody_listens(run):
    async def main():
        port = free_port()
        outcome = await failure(Endpoint("mx.test", port, ("127.0.0.1",)))
        assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "connection", "connect")
        assert outcome.text == f"connecting to 127.0.0.1 port {port} failed: Connection refused"
        assert (outcome.host, outcome.address) == ("mx.test", "127.0.0.1")

    run(main())


def test_it_says_when_connecting_takes_too_long(run):
    async def main():
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            port = full.getsockname()[1]
            fillers = [socket.socket() for _ in range(8)]  # a full backlog: SYNs are dropped
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            options = replace(OPTIONS, timeouts=replace(QUICK, connect=0.2))
            outcome = await failure(Endpoint("mx.test", port, ("127.0.0.1",)), options)
            for filler in fillers:
                filler.close()
        assert outcome.text == f"connecting to 127.0.0.1 port {port} timed out after 0.2 s"
        assert (outcome.reply_class, outcome.stage) == ("connection", "connect")

    run(main())


def test_it_tries_the_addresses_in_order(run):
    async def main():
        async with ScriptedServer([*OPENED, *TRANSACTION, QUIT]) as server:
            addresses = ("127.0.0.2", "::1", "127.0.0.1")
            session = await Session.open(replace(server.endpoint, addresses=addresses), OPTIONS)
            (outcome,) = await session.send(ONE)
            await session.quit()
        assert (outcome.result, outcome.address) == ("delivered", "127.0.0.1")

    run(main())


def test_it_tries_the_next_address_when_there_is_no_greeting(run):
    async def main():
        for silence in hang, close, reset:
            async with ScriptedServer([(None, silence)], [*OPENED, QUIT]) as server:
                session = await Session.open(replace(server.endpoint, addresses=("127.0.0.1",) * 2), BRIEF)
                await session.quit()
            assert server.n_connections == 2

    run(main())


def test_it_names_every_address_that_failed(run):
    async def main():
        port = free_port()
        outcome = await failure(Endpoint("mx.test", port, ("127.0.0.1", "127.0.0.2")))
        assert outcome.text == (
            f"connecting to 127.0.0.1 port {port} failed: Connection refused; "
            f"connecting to 127.0.0.2 port {port} failed: Connection refused"
        )

    run(main())


def test_it_looks_the_host_up_when_no_address_is_given(run):
    async def main():
        async with ScriptedServer([*OPENED, QUIT]) as server:
            session = await Session.open(Endpoint("localhost", server.port), OPTIONS)
            await session.quit()
        outcome = await failure(Endpoint("nowhere.invalid", 25))
        assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "dns", "connect")
        assert outcome.text.startswith("looking up nowhere.invalid failed: ")
        outcome = await failure(Endpoint("x" * 70 + ".invalid", 25))
        assert (outcome.result, outcome.reply_class) == ("deferred", "dns")

    run(main())


def test_it_speaks_over_ipv6(run):
    async def main():
        try:
            server = await ScriptedServer([*OPENED, *TRANSACTION, QUIT], family="::1").__aenter__()
        except OSError:
            pytest.skip("this machine has no IPv6 on loopback")
        session = await Session.open(server.endpoint, OPTIONS)
        (outcome,) = await session.send(ONE)
        await session.quit()
        await server.__aexit__(None, None, None)
        assert (outcome.result, outcome.address, outcome.source) == ("delivered", "::1", "::1")

    run(main())


def test_it_connects_from_the_source_address(run):
    async def main():
        async with ScriptedServer([*OPENED, *TRANSACTION, QUIT]) as server:
            endpoint = replace(server.endpoint, addresses=("::1", "127.0.0.1"))
            session = await Session.open(endpoint, replace(OPTIONS, source_address="127.0.0.7"))
            (outcome,) = await session.send(ONE)
            await session.quit()
        assert (outcome.result, outcome.address, outcome.source) == ("delivered", "127.0.0.1", "127.0.0.7")

    run(main())


def test_it_says_when_the_source_address_is_not_ours_or_does_not_fit(run):
    async def main():
        endpoint = Endpoint("mx.test", 25, ("127.0.0.1",))
        outcome = await failure(endpoint, replace(OPTIONS, source_address="192.0.2.77"))
        assert (outcome.result, outcome.reply_class, outcome.source) == (
            "deferred",
            "connection",
            "192.0.2.77",
        )
        assert "from 192.0.2.77 failed" in outcome.text
        outcome = await failure(endpoint, replace(OPTIONS, source_address="2001:db8::1"))
        assert outcome.text == (
            "no address of mx.test (127.0.0.1) is of the same family as our source 2001:db8::1"
        )

    run(main())


def test_it_says_at_which_stage_the_server_fell_silent(run):
    async def main():
        for before, stage, name in (
            ([], "greeting", "our connection (the greeting)"),
            ([GREETING], "ehlo", "EHLO"),
            ([GREETING, ("EHLO", "500 what")], "ehlo", "HELO"),
            ([GREETING, TLS_EHLO], "starttls", "STARTTLS"),
        ):
            options = replace(BRIEF, tls="opportunistic")
            async with ScriptedServer([*before, (None, hang)]) as server:
                outcome = await failure(server.endpoint, options)
            assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "connection", stage)
            assert outcome.text == f"timed out after 0.2 s waiting for the reply to {name}"

    run(main())


def test_it_does_not_wait_long_for_the_answer_to_quit(run):
    async def main():
        for end in hang, close, reset:
            async with ScriptedServer([*OPENED, ("QUIT", end)]) as server:
                session = await Session.open(
                    server.endpoint, replace(OPTIONS, timeouts=replace(QUICK, quit=0.1))
                )
                await session.quit()
                await session.quit()
                session.abort()
                assert not session.is_usable

    run(main())


# STARTTLS with servers that misbehave; the good cases are in test_client.py


def test_it_goes_on_in_plain_text_where_starttls_is_not_to_be_had(run):
    async def main():
        options = replace(OPTIONS, tls="opportunistic")
        refused = [TLS_EHLO, ("STARTTLS", "454 4.7.0 not now")]
        for opening in [PLAIN_EHLO], refused:
            async with ScriptedServer([GREETING, *opening, *TRANSACTION, QUIT]) as server:
                session = await Session.open(server.endpoint, options)
                (outcome,) = await session.send(ONE)
                await session.quit()
            assert (outcome.result, outcome.tls) == ("delivered", "")
            assert server.n_connections == 1

    run(main())


def test_it_opens_the_session_again_in_plain_text_when_the_handshake_fails(run):
    async def main():
        options = replace(OPTIONS, tls="opportunistic")
        for broken in break_handshake, close_after_220, hang_after_220:
            timeouts = replace(QUICK, greeting=0.5)
            first = [GREETING, TLS_EHLO, ("STARTTLS", broken)]
            second = [GREETING, TLS_EHLO, *TRANSACTION, QUIT]
            async with ScriptedServer(first, second) as server:
                session = await Session.open(server.endpoint, replace(options, timeouts=timeouts))
                (outcome,) = await session.send(ONE)
                await session.quit()
            assert (outcome.result, outcome.tls, server.n_connections) == ("delivered", "", 2)

    run(main())


async def close_after_220(reader, writer):
    writer.write(b"220 ready\r\n")
    await writer.drain()
    await reader.read(1024)
    await close(reader, writer)


async def hang_after_220(reader, writer):
    writer.write(b"220 ready\r\n")
    await hang(reader, writer)


def test_it_opens_again_only_once(run):
    async def main():
        first = [GREETING, TLS_EHLO, ("STARTTLS", break_handshake)]
        async with ScriptedServer(first, [GREETING, TLS_EHLO, ("MAIL", close)]) as server:
            session = await Session.open(server.endpoint, replace(OPTIONS, tls="opportunistic"))
            (outcome,) = await session.send(ONE)
        assert (outcome.result, outcome.reply_class, server.n_connections) == ("deferred", "connection", 2)

    run(main())


def test_it_defers_when_required_tls_does_not_come_about(run):
    async def main():
        options = replace(OPTIONS, tls="required")
        for steps, text in (
            ([PLAIN_EHLO], "TLS is required, and the server does not offer STARTTLS"),
            ([("EHLO", "500 what"), ("HELO", "250 ok")], "TLS is required"),
            ([TLS_EHLO, ("STARTTLS", "454 4.7.0 not now")], "not now"),
            ([TLS_EHLO, ("STARTTLS", "501 5.5.4 no")], "no"),
            ([TLS_EHLO, ("STARTTLS", break_handshake)], "TLS handshake failed: "),
            ([TLS_EHLO, ("STARTTLS", close_after_220)], "TLS handshake failed: "),
        ):
            async with ScriptedServer([GREETING, *steps]) as server:
                outcome = await failure(server.endpoint, options)
            assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "tls", "starttls")
            assert outcome.text.startswith(text)
            assert server.n_connections == 1

    run(main())


def test_it_defers_when_the_handshake_takes_too_long(run):
    async def main():
        options = replace(BRIEF, tls="required")
        async with ScriptedServer([GREETING, TLS_EHLO, ("STARTTLS", hang_after_220)]) as server:
            outcome = await failure(server.endpoint, options)
        assert (outcome.reply_class, outcome.text) == ("tls", "TLS handshake failed: timed out after 0.2 s")

    run(main())


def test_it_defers_when_the_certificate_is_not_to_be_trusted(run, certificates):
    async def main():
        context = certificates.server_context()
        options = replace(OPTIONS, tls="required", verify=True)
        script = [GREETING, TLS_EHLO, ("STARTTLS", starttls(context))]
        async with ScriptedServer(script) as server:
            outcome = await failure(server.endpoint, options)
            assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "tls", "starttls")
            assert outcome.text.startswith(
                "TLS handshake failed: the certificate of localhost is not trusted: "
            )
            trusting = replace(options, cafile=str(certificates.ca))
            outcome = await failure(replace(server.endpoint, host="other.test"), trusting)
            assert "other.test is not trusted" in outcome.text
            assert "ostname mismatch" in outcome.text

    run(main())


def test_it_says_when_the_file_of_roots_is_unusable(run, tmp_path):
    async def main():
        (tmp_path / "bad.pem").write_text("no certificate")
        for name, reason in ("missing.pem", "No such file or directory"), ("bad.pem", "not a PEM file"):
            path = str(tmp_path / name)
            async with ScriptedServer([GREETING, TLS_EHLO, ("STARTTLS", "220 ready")]) as server:
                outcome = await failure(
                    server.endpoint, replace(OPTIONS, tls="required", verify=True, cafile=path)
                )
            assert (outcome.result, outcome.reply_class) == ("deferred", "tls")
            assert outcome.text == f"the file of trusted certificates {path} can't be read: {reason}"

    run(main())


@pytest.mark.parametrize("mode", ["opportunistic", "required"])
def test_it_refuses_plain_text_that_came_ahead_of_the_handshake(run, certificates, mode):
    async def main():
        context = certificates.server_context()
        for ahead in b"250 injected\r\n", b"25":
            upgrade = starttls(context, ahead=ahead)
            async with ScriptedServer([GREETING, TLS_EHLO, ("STARTTLS", upgrade)]) as server:
                outcome = await failure(server.endpoint, replace(OPTIONS, tls=mode))
            assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "tls", "starttls")
            assert "injection" in outcome.text
            assert server.n_connections == 1

    run(main())


def test_it_forgets_what_was_offered_before_the_handshake(run, certificates):
    async def main():
        upgrade = ("STARTTLS", starttls(certificates.server_context()))
        generous = ("EHLO", "250-x\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250-SIZE 1\r\n250 STARTTLS")
        script = [
            GREETING,
            generous,
            upgrade,
            PLAIN_EHLO,
            ("MAIL FROM:<a@test>", "250 ok"),
            *TRANSACTION[1:],
            QUIT,
        ]
        async with ScriptedServer(script) as server:
            session = await Session.open(server.endpoint, replace(OPTIONS, tls="required"))
            (outcome,) = await session.send(ONE)
            await session.quit()
        assert outcome.result == "delivered"
        assert server.lines[3] == "MAIL FROM:<a@test>"

    run(main())


def test_it_loses_no_byte_of_a_large_body_over_tls(run, certificates):
    async def main():
        upgrade = ("STARTTLS", starttls(certificates.server_context()))
        content = b"0123456789abcdef\r\n" * 200_000
        script = [GREETING, TLS_EHLO, upgrade, EHLO, *TRANSACTION, QUIT]
        async with ScriptedServer(script) as server:
            session = await Session.open(server.endpoint, replace(OPTIONS, tls="required"))
            (outcome,) = await session.send(replace(ONE, content=content))
            await session.quit()
        assert outcome.result == "delivered"
        assert server.contents == [content]

    run(main())


def test_it_defers_where_implicit_tls_meets_a_plain_server(run):
    async def main():
        async with ScriptedServer([(None, hang_with_greeting)]) as server:
            outcome = await failure(server.endpoint, replace(OPTIONS, tls="implicit"))
        assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "tls", "starttls")

    run(main())


async def hang_with_greeting(reader, writer):
    writer.write(b"220 hello\r\n")
    await hang(reader, writer)


def test_it_opens_only_with_requiretls_where_that_is_needed(run, certificates):
    async def main():
        context = certificates.server_context()
        strict = replace(
            OPTIONS, tls="required", verify=True, cafile=str(certificates.ca), needs_requiretls=True
        )
        for offer, is_fine in (("REQUIRETLS", True), ("SIZE", False)):
            answer = ("EHLO ", f"250-scripted\r\n250 {offer}")
            script = [GREETING, TLS_EHLO, ("STARTTLS", starttls(context)), answer]
            async with ScriptedServer([*script, QUIT] if is_fine else script) as server:
                if is_fine:
                    session = await Session.open(server.endpoint, strict)
                    await session.quit()
                else:
                    outcome = await failure(server.endpoint, strict)
                    assert (outcome.result, outcome.reply_class) == ("bounced", "tls")
                    assert (outcome.enhanced, outcome.text) == (
                        "5.7.30",
                        "the server does not offer REQUIRETLS",
                    )

    run(main())
