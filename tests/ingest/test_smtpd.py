"""The submission server over real sockets, in front of a gate of the test's own."""

from __future__ import annotations

import asyncio
import base64
import smtplib
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from queueapp.ingest.login_throttle import LoginThrottle, network_of
from queueapp.ingest.smtpd import SmtpdOptions, SubmissionHandler, make_server, serve, tls_context
from queueapp.ingest.submission import Accepted, Refused, Submission, TryLater
from queueapp.transports.smtp.server import ServerOptions
from tests.transports.certificates import Certificates, make_certificates
from tests.transports.serving import Keeper, Raw, Running, serving


class Gate:
    """Stands where accept_async stands: takes a submission after a while, or raises what it is told to."""

    def __init__(self) -> None:
        self.taken: list[Submission] = []
        self.error: Exception | None = None

    async def __call__(self, submission: Submission) -> Accepted:
        await asyncio.sleep(0.005)
        if self.error:
            raise self.error
        self.taken.append(submission)
        return Accepted(len(self.taken), [(1, to, "queued") for to in submission.recipients])


class Logins:
    def __init__(self) -> None:
        self.n_asked = 0
        self.is_away = False

    async def check(self, user: str, password: str) -> str | None:
        self.n_asked += 1
        if self.is_away:
            raise OSError("the database is away")
        return user if password == "right" else None


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def logins() -> Logins:
    return Logins()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def submission_server(gate: Gate, logins: Logins | None, certificates: Certificates, **changes: Any) -> Any:
    """As make_server builds it, run by the tests' own thread."""
    options = SmtpdOptions("mail.test", certificate=certificates.certificate, key=certificates.key)
    server = make_server(options, gate, logins.check if logins else None)
    handler = SubmissionHandler(gate, logins.check if logins else None, changes.pop("login", "remote"))
    return serving(handler, server.options, **changes)


@pytest.fixture
def server(gate: Gate, logins: Logins, certificates: Certificates) -> Iterator[Running]:
    with submission_server(gate, logins, certificates) as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[Raw]:
    with server.client() as raw:
        yield raw.greet()


def plain(user: str, password: str) -> str:
    return "AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def test_it_works(server: Running, gate: Gate) -> None:
    content = b"Subject: hi\r\n\r\n.dot\r\n" + b"\xe4\r\n"
    with smtplib.SMTP(*server.address, local_hostname="client.test", timeout=10) as smtp:
        smtp.sendmail("a@x.test", ["b@y.test", "c@y.test"], content)
    assert gate.taken == [
        Submission(
            sender="a@x.test",
            recipients=("b@y.test", "c@y.test"),
            content=content,
            source="smtp",
            client="127.0.0.1",
            helo="client.test",
            protocol="ESMTP",
            has_clean_lines=True,
        )
    ]


def test_it_names_the_message_id_in_its_answer(client: Raw, gate: Gate) -> None:
    for number in (1, 2):
        client.data().send(b"Subject: x\r\n\r\n.\r\n")
        assert client.reply() == f"250 2.0.0 Ok: queued as {number}"


def test_it_takes_the_null_sender(client: Raw, gate: Gate) -> None:
    client.send(b"MAIL FROM:<>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n")
    assert [client.reply()[:3] for _ in range(4)] == ["250", "250", "354", "250"]
    assert gate.taken[0].sender == ""


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (Refused(554, "5.4.6", "the mail loops"), "554 5.4.6 the mail loops"),
        (Refused(552, "5.3.4", "too\r\n250 2.0.0 big \0", "content", 413), "552 5.3.4 too?250 2.0.0 big ?"),
        (TryLater("the database is away"), "451 4.3.0 the database is away"),
        (ValueError("secret detail"), "451 4.3.0 Internal error, try again later"),
    ],
)
def test_it_passes_the_gates_answer_on(client: Raw, gate: Gate, error: Exception, reply: str) -> None:
    gate.error = error
    client.data().send(b"Subject: x\r\n\r\n.\r\n")
    assert client.reply() == reply
    gate.error = None
    client.data().send(b"Subject: x\r\n\r\n.\r\n")
    assert client.reply() == "250 2.0.0 Ok: queued as 1"


@pytest.mark.parametrize(
    "address",
    [
        "nodomain",
        "a@",
        "@y.test",
        "a" * 400 + "@y.test",
        "a@[127.0.0.1]",
        "a b@y.test",
        "a@y..test",
        "a@-.test",
    ],
)
def test_it_refuses_addresses_and_names_them(client: Raw, address: str) -> None:
    reply = client.say(f"MAIL FROM:<{address}>")
    assert reply.startswith("501 5.1.7 ")
    assert address[:20].strip() in reply
    client.say("MAIL FROM:<a@x.test>")
    reply = client.say(f"RCPT TO:<{address}>")
    assert reply.startswith("501 5.1.3 ")
    assert address[:20].strip() in reply
    assert len(reply) < 300


def test_it_takes_the_good_recipients_beside_a_bad_one(client: Raw, gate: Gate) -> None:
    client.send(
        b"MAIL FROM:<a@x.test>\r\nRCPT TO:<bad>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n"
    )
    assert [client.reply()[:3] for _ in range(5)] == ["250", "501", "250", "354", "250"]
    assert gate.taken[0].recipients == ("b@y.test",)


@pytest.mark.parametrize(
    ("content", "reply"),
    [
        (b"a\nb\r\n", "550 5.6.11 Line 1 has a bare LF"),
        (b"Subject: x\r\n\r\n" + b"x" * 999 + b"\r\n", "554 5.6.0 Line 3 is longer than 998"),
        (b"Subject: x\r\n\r\na\0b\r\n", "554 5.6.0 Line 3 has a NUL byte"),
    ],
)
def test_it_refuses_content_that_no_client_may_send(
    client: Raw, gate: Gate, content: bytes, reply: str
) -> None:
    client.data().send(content + b".\r\n")
    assert client.reply().startswith(reply)
    assert gate.taken == []


def test_it_refuses_what_is_too_big_before_and_after_it_came(gate: Gate, certificates: Certificates) -> None:
    with submission_server(gate, None, certificates, max_size=1000) as running, running.client() as client:
        assert client.greet().say("MAIL FROM:<a@x.test> SIZE=1001").startswith("552 5.3.4 ")
        client.data().send(b"x" * 70 + b"\r\n" * 1000 + b".\r\n")
        assert client.reply().startswith("552 5.3.4 ")
    assert gate.taken == []


# ── Logins ────────────────────────────────────────────────────────────────────────────────────


def test_it_takes_logins_by_tls_and_says_so(server: Running, gate: Gate, certificates: Certificates) -> None:
    with smtplib.SMTP("localhost", server.address[1], local_hostname="client.test", timeout=10) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(certificates.ca)))
        smtp.ehlo()
        smtp.sendmail("a@x.test", "b@y.test", b"x\r\n")
        smtp.login("ann", "right")
        smtp.sendmail("a@x.test", "b@y.test", b"x\r\n")
        smtp.sendmail("ä@x.test", "b@y.test", b"x\r\n", ["SMTPUTF8"])
    seen = [(submission.protocol, submission.login) for submission in gate.taken]
    assert seen == [("ESMTPS", ""), ("ESMTPSA", "ann"), ("UTF8SMTPSA", "ann")]


def test_it_names_the_other_protocols(server: Running, gate: Gate) -> None:
    for greeting in ("HELO client.test", "EHLO client.test"):
        with server.client() as client:
            client.reply()
            client.say(greeting)
            if greeting.startswith("EHLO"):
                assert client.say(plain("ann", "right")).startswith("235 ")
            client.data().send(b".\r\n")
            client.reply()
    assert [submission.protocol for submission in gate.taken] == ["SMTP", "ESMTPA"]


def test_it_wants_a_login_from_loopback_where_it_is_set_so(
    gate: Gate, logins: Logins, certificates: Certificates
) -> None:
    with submission_server(gate, logins, certificates, login="always") as running, running.client() as client:
        assert client.greet().say("MAIL FROM:<a@x.test>").startswith("530 5.7.0 ")
        assert client.say("RCPT TO:<b@y.test>").startswith("503 ")
        assert client.say(plain("ann", "wrong")).startswith("535 5.7.8 ")
        assert client.say("MAIL FROM:<a@x.test>").startswith("530 5.7.0 ")
        assert client.say(plain("ann", "right")).startswith("235 ")
        client.data().send(b".\r\n")
        assert client.reply().startswith("250 ")
    assert gate.taken[0].login == "ann"


def test_it_wants_a_login_and_tls_from_elsewhere(
    gate: Gate, logins: Logins, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen from a server that takes nobody for local, since a test has no other machine."""
    from queueapp.transports.smtp.server import ServerSession

    monkeypatch.setattr(ServerSession, "is_local", property(lambda _: False, lambda *_: None), raising=False)
    with submission_server(gate, logins, certificates) as running, running.client() as client:
        greeting = client.reply() and client.say("EHLO client.test")
        assert "AUTH" not in greeting
        assert client.say("MAIL FROM:<a@x.test>").startswith("530 5.7.0 ")
        assert client.say(plain("ann", "right")).startswith("538 5.7.11 ")
        with smtplib.SMTP("localhost", running.address[1], timeout=10) as smtp:
            smtp.starttls(context=ssl.create_default_context(cafile=str(certificates.ca)))
            smtp.login("ann", "right")
            smtp.sendmail("a@x.test", "b@y.test", b"x\r\n")
    assert [submission.login for submission in gate.taken] == ["ann"]


def test_it_shuts_out_who_guesses_passwords(server: Running, logins: Logins) -> None:
    with server.client() as client:
        client.greet()
        for _ in range(5):
            assert client.say(plain("ann", "wrong")).startswith("535 5.7.8 ")
        assert client.say(plain("ann", "right")).startswith("421 4.7.0 Too many failed logins")
        assert client.is_closed()
    with server.client() as client:
        assert client.greet().say(plain("ann", "right")).startswith("421 4.7.0 ")
    assert logins.n_asked == 5


def test_it_does_not_blame_the_client_when_logins_cannot_be_checked(client: Raw, logins: Logins) -> None:
    logins.is_away = True
    for _ in range(7):
        assert client.say(plain("ann", "right")).startswith("454 4.7.0 ")
    logins.is_away = False
    assert client.say(plain("ann", "right")).startswith("235 ")


def test_it_offers_no_login_where_nobody_can_check_it(gate: Gate, certificates: Certificates) -> None:
    with submission_server(gate, None, certificates) as running, running.client() as client:
        assert client.greet().say(plain("ann", "right")).startswith("503 5.5.1 ")


def test_it_counts_failures_by_network_and_forgets_them() -> None:
    throttle = LoginThrottle(most=2, window=60)
    assert [throttle.begin("2001:db8::1", now) for now in (0, 1, 2)] == [True, True, False]
    assert not throttle.begin("2001:db8::2", 30)
    assert throttle.begin("2001:db8:0:1::1", 30)
    assert throttle.begin("192.0.2.1", 30)
    assert not throttle.begin("2001:db8::1", 59)
    assert throttle.begin("2001:db8::1", 60.5)
    for now in range(70, 80):
        assert throttle.begin("192.0.2.2", now)
        throttle.forgive("192.0.2.2")
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("") == ""


def test_it_remembers_a_bounded_number_of_guessers() -> None:
    throttle = LoginThrottle(max_clients=10)
    for n in range(100):
        throttle.begin(f"192.0.2.{n}", n)
    assert len(throttle._failures) == 10


# ── Start and stop ────────────────────────────────────────────────────────────────────────────


def test_it_serves_until_it_is_told_to_stop_and_answers_what_is_in_flight(gate: Gate) -> None:
    async def main() -> list[bytes]:
        stop, found = asyncio.Event(), asyncio.get_running_loop().create_future()
        options = SmtpdOptions("mail.test")
        serving_it = asyncio.create_task(serve(("127.0.0.1", 0), options, found.set_result, gate, stop=stop))
        reader, writer = await asyncio.open_connection(*await found)
        writer.write(b"EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nhello\r\n.\r\n")
        while not (await reader.readline()).startswith(b"354 "):
            pass
        stop.set()
        start = time.monotonic()
        lines = (await reader.read()).splitlines()
        await serving_it
        assert time.monotonic() - start < 5
        writer.close()
        return lines

    lines = asyncio.run(main())
    assert lines[0] == b"250 2.0.0 Ok: queued as 1"
    assert lines[1].startswith(b"421 4.3.2 ")
    assert len(gate.taken) == 1


def test_it_names_a_certificate_that_cannot_be_used(tmp_path: Path, certificates: Certificates) -> None:
    assert tls_context(None, None) is None
    assert tls_context(certificates.certificate, certificates.key) is not None
    missing, wrong = tmp_path / "missing.pem", tmp_path / "wrong.pem"
    wrong.write_text("nothing")
    for certificate, key in ((missing, None), (wrong, None), (certificates.certificate, wrong)):
        with pytest.raises(ValueError, match=r"(missing|wrong)\.pem.*MAILWEIR_SMTP_CERT"):
            tls_context(certificate, key)


def test_it_refuses_content_like_the_servers_own_default() -> None:
    """The strictness that the tests above rely on is what make_server builds."""
    options = make_server(SmtpdOptions(), Gate()).options
    assert (options.is_strict, options.max_line, options.auth_without_tls) == (True, 998, False)
    assert ServerOptions().max_line == 998
    assert isinstance(Keeper(), Keeper)


def test_it_hands_on_what_the_sender_demands_of_tls(
    server: Running, gate: Gate, certificates: Certificates
) -> None:
    with smtplib.SMTP(*server.address, timeout=10) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(certificates.ca)))
        smtp.ehlo()
        smtp.login("ann", "right")
        smtp.sendmail("a@x.test", "b@y.test", b"Subject: x\r\n\r\nx\r\n", ["REQUIRETLS"])
    assert [each.requires_tls for each in gate.taken] == [True]
