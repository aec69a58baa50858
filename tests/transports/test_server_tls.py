"""STARTTLS and AUTH of our server."""

from __future__ import annotations

import base64
import contextlib
import smtplib
import ssl
import time
from collections.abc import Iterator

import pytest

from queueapp.transports.smtp.server import Reply, ServerOptions, ServerSession
from tests.transports.certificates import Certificates
from tests.transports.serving import TIMEOUT, Keeper, Raw, Running, serving


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture(params=["asyncio", "uvloop"])
def server(keeper: Keeper, certificates: Certificates, request: pytest.FixtureRequest) -> Iterator[Running]:
    options = ServerOptions(
        hostname="mail.test", tls=certificates.server_context(), offers_auth=True, auth_on_loopback=False
    )
    with serving(keeper, options, loop=request.param) as running:
        yield running


@contextlib.contextmanager
def smtp(server: Running, certificates: Certificates, *, tls: bool = True) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(*server.address, local_hostname="client.test", timeout=TIMEOUT) as client:
        client.ehlo()
        if tls:
            client.starttls(context=ssl.create_default_context(cafile=str(certificates.ca)))
            client.ehlo()
        yield client


def encoded(*parts: str) -> str:
    return base64.b64encode("\0".join(parts).encode()).decode()


def test_it_works(server: Running, keeper: Keeper, certificates: Certificates) -> None:
    with smtp(server, certificates) as client:
        assert client.login("ann", "right")[0] == 235
        client.sendmail("a@x.test", "b@y.test", b"x\r\n" * 50_000)
    assert keeper.logins == [("ann", "right")]
    assert len(keeper.mails[0].content) == 150_000
    assert keeper.tls[0].startswith("TLSv1.3 TLS_")


def test_it_offers_login_only_with_tls_and_tls_only_once(server: Running, certificates: Certificates) -> None:
    with smtp(server, certificates, tls=False) as client:
        assert client.has_extn("starttls")
        assert not client.has_extn("auth")
        assert client.docmd("AUTH", "PLAIN " + encoded("", "ann", "right"))[0] == 538
    with smtp(server, certificates) as client:
        assert not client.has_extn("starttls")
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        assert client.docmd("STARTTLS")[0] == 503
        assert client.docmd("STARTTLS now")[0] == 501


def test_it_throws_away_what_was_injected_before_tls(server: Running, certificates: Certificates) -> None:
    """CVE-2011-0411: commands in the same packet as STARTTLS must not run inside TLS."""
    with server.client() as raw:
        raw.greet().send(b"STARTTLS\r\nMAIL FROM:<evil@x.test>\r\nNOOP\r\n")
        assert raw.reply() == "220 2.0.0 Ready to start TLS"
        context = ssl.create_default_context(cafile=str(certificates.ca))
        inside = context.wrap_socket(raw.socket, server_hostname="localhost")
        inside.sendall(b"EHLO client.test\r\n")
        assert inside.recv(4096).startswith(b"250-mail.test")
        inside.sendall(b"RCPT TO:<b@y.test>\r\n")
        assert inside.recv(4096).startswith(b"503 ")
        inside.close()


def test_it_forgets_what_was_said_before_tls(server: Running, certificates: Certificates) -> None:
    with smtp(server, certificates, tls=False) as client:
        client.mail("a@x.test")
        client.docmd("STARTTLS")
        context = ssl.create_default_context(cafile=str(certificates.ca))
        client.sock = context.wrap_socket(client.sock, server_hostname="localhost")
        client.file = None
        assert client.docmd("RCPT", "TO:<b@y.test>")[0] == 503
        assert client.docmd("MAIL", "FROM:<a@x.test>") == (503, b"5.5.1 Say EHLO first")


def test_it_survives_a_broken_handshake(server: Running, keeper: Keeper) -> None:
    with server.client() as raw:
        raw.greet().say("STARTTLS")
        raw.send(b"this is not a ClientHello\r\n")
        with contextlib.suppress(ConnectionResetError):
            while raw.socket.recv(4096):
                pass
    with server.client() as raw:
        raw.greet().say("STARTTLS")  # and gone
    with server.client() as raw:
        raw.greet().data().send(b".\r\n")
        assert raw.reply().startswith("250 ")
    deadline = time.monotonic() + 5
    while server.server.sessions and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not server.server.sessions


# ── AUTH ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def plain(keeper: Keeper) -> Iterator[Raw]:
    """A client of a server that takes logins without TLS."""
    options = ServerOptions(offers_auth=True, auth_without_tls=True)
    with serving(keeper, options) as running, running.client() as raw:
        yield raw.greet()


def test_it_takes_plain_with_and_without_initial_response(plain: Raw, keeper: Keeper) -> None:
    assert plain.say("AUTH PLAIN " + encoded("", "ann", "wrong")) == "535 5.7.8 Wrong user or password"
    assert plain.say("auth plain") == "334 "
    assert plain.say(encoded("ann", "ann", "right")) == "235 2.7.0 Authentication successful"
    assert plain.say("AUTH PLAIN").startswith("503 5.5.1 ")
    assert keeper.logins == [("ann", "wrong"), ("ann", "right")]


def test_it_takes_login_with_and_without_initial_response(plain: Raw, keeper: Keeper) -> None:
    assert plain.say("AUTH LOGIN") == "334 VXNlcm5hbWU6"
    assert plain.say(encoded("änn")) == "334 UGFzc3dvcmQ6"
    assert plain.say(encoded("wröng")).startswith("535 5.7.8 ")
    assert plain.say("AUTH LOGIN " + encoded("ann")) == "334 UGFzc3dvcmQ6"
    assert plain.say(encoded("right")).startswith("235 ")
    assert keeper.logins == [("änn", "wröng"), ("ann", "right")]


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (["AUTH CRAM-MD5"], "504 5.5.4 "),
        (["AUTH"], "504 5.5.4 "),
        (["AUTH PLAIN ?!"], "501 5.5.2 "),
        (["AUTH PLAIN =" + "=" * 3], "501 5.5.2 "),
        (["AUTH PLAIN", "*"], "501 5.7.0 "),
        (["AUTH PLAIN", "="], "501 5.5.2 "),
        (["AUTH PLAIN", encoded("ann", "right")], "501 5.5.2 "),
        (["AUTH PLAIN", encoded("root", "ann", "right")], "501 5.5.2 "),
        (["AUTH PLAIN", encoded("", "", "right")], "501 5.5.2 "),
        (["AUTH PLAIN", base64.b64encode(b"\0\xff\0right").decode()], "501 5.5.2 "),
        (["AUTH PLAIN " + "A" * 13_000], "500 5.5.2 "),
        (["AUTH PLAIN", "A" * 12_286], "501 5.5.2 "),
        (["AUTH PLAIN", "A" * 13_000], "500 5.5."),
        (["AUTH LOGIN", "="], "334 "),
        (["AUTH LOGIN", encoded("ann"), "*"], "501 5.7.0 "),
        (["MAIL FROM:<a@x.test>", "AUTH PLAIN"], "503 5.5.1 "),
    ],
)
def test_it_refuses_a_broken_exchange(plain: Raw, keeper: Keeper, lines: list[str], reply: str) -> None:
    answers = [plain.say(line) for line in lines]
    assert answers[-1].startswith(reply)
    assert keeper.logins == []
    if not reply.startswith("334"):
        assert plain.say("NOOP") == "250 2.0.0 Ok"


def test_it_says_454_when_logins_cannot_be_checked() -> None:
    class Broken(Keeper):
        async def on_auth(self, session: ServerSession, user: str, password: str) -> Reply | str | None:  # type: ignore[override]
            raise OSError("the database is away")

    options = ServerOptions(offers_auth=True, auth_without_tls=True)
    with serving(Broken(), options) as running, running.client() as raw:
        assert raw.greet().say("AUTH PLAIN " + encoded("", "a", "b")).startswith("454 4.7.0 ")
        assert raw.say("NOOP") == "250 2.0.0 Ok"


def test_it_forgets_a_login_with_starttls(keeper: Keeper, certificates: Certificates) -> None:
    options = ServerOptions(tls=certificates.server_context(), offers_auth=True, auth_without_tls=True)
    with serving(keeper, options) as running, smtp(running, certificates, tls=False) as client:
        client.login("ann", "right")
        client.starttls(context=ssl.create_default_context(cafile=str(certificates.ca)))
        client.ehlo()
        assert client.has_extn("auth")
        assert client.login("ann", "right")[0] == 235


def test_requiretls_is_offered_and_taken_over_tls_only(keeper: Keeper, certificates: Certificates) -> None:
    options = ServerOptions(hostname="mail.test", tls=certificates.server_context(), offers_requiretls=True)
    with serving(keeper, options) as running, smtp(running, certificates, tls=False) as client:
        assert not client.has_extn("requiretls")
        assert client.docmd("MAIL", "FROM:<a@x.test> REQUIRETLS")[0] == 530
        client.starttls(context=ssl.create_default_context(cafile=str(certificates.ca)))
        client.ehlo()
        assert client.has_extn("requiretls")
        assert client.docmd("MAIL", "FROM:<a@x.test> REQUIRETLS=yes")[0] == 555
        client.sendmail("a@x.test", "b@y.test", b"x\r\n", ["REQUIRETLS"])
        client.sendmail("a@x.test", "b@y.test", b"x\r\n")
    assert [mail.requires_tls for mail in keeper.mails] == [True, False]


def test_requiretls_is_refused_where_it_is_not_offered(server: Running, certificates: Certificates) -> None:
    with smtp(server, certificates) as client:
        assert not client.has_extn("requiretls")
        assert client.docmd("MAIL", "FROM:<a@x.test> REQUIRETLS")[0] == 555
