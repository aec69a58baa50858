"""The client against aiosmtpd, an SMTP server that others wrote."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from queueapp.transports.base import Endpoint, Envelope, Options, SessionFailed
from queueapp.transports.smtp.client import Session

OPTIONS = Options("client.test", tls="none")
ONE = Envelope("a@example.test", ("b@example.test",), b"Subject: x\r\n\r\nhello\r\n")
NASTY = b".\r\n..\r\n.x\r\n\r\n.\r\n" + b"y" * 900 + b"\r\n. \r\n.end"


class Inbox:
    """aiosmtpd's handler: keeps what it takes."""

    def __init__(self, *, pipelining: bool = True) -> None:
        self.pipelining = pipelining
        self.mails: list[tuple[str, list[str], bytes, list[str]]] = []
        self.hello = ""

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802
        session.host_name = self.hello = hostname
        return ["250-PIPELINING", *responses] if self.pipelining else responses

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content, envelope.mail_options))
        return f"250 2.0.0 taken as {len(self.mails)}"


@contextmanager
def aiosmtpd_server(
    inbox: Inbox, *, implicit: ssl.SSLContext | None = None, **settings: Any
) -> Iterator[Endpoint]:
    """aiosmtpd on a thread and a loop of its own, at a free port."""
    loop = asyncio.new_event_loop()

    def protocol() -> SMTP:
        return SMTP(inbox, hostname="localhost", loop=loop, **settings)

    server = loop.run_until_complete(loop.create_server(protocol, "127.0.0.1", 0, ssl=implicit))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Endpoint("localhost", server.sockets[0].getsockname()[1], ("127.0.0.1",))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def send(endpoint, envelope=ONE, options=OPTIONS):
    session = await Session.open(endpoint, options)
    try:
        return await session.send(envelope)
    finally:
        await session.quit()


@pytest.mark.parametrize("pipelining", [True, False])
def test_it_works(run, pipelining):
    inbox = Inbox(pipelining=pipelining)

    async def main(endpoint):
        (outcome,) = await send(endpoint)
        assert (outcome.result, outcome.code, outcome.text) == ("delivered", 250, "taken as 1")

    with aiosmtpd_server(inbox) as endpoint:
        run(main(endpoint))
    assert [mail[:3] for mail in inbox.mails] == [("a@example.test", ["b@example.test"], ONE.content)]
    assert inbox.hello == "client.test"


@pytest.mark.parametrize("pipelining", [True, False])
def test_it_sends_content_byte_for_byte(run, pipelining):
    inbox = Inbox(pipelining=pipelining)
    contents = [
        NASTY + b"\r\n",
        b"\r\n",
        "grün\r\n".encode("latin-1"),
        b"q" * 900 + b"\r\n" + b".\r\n" * 60_000,
    ]

    async def main(endpoint):
        session = await Session.open(endpoint, OPTIONS)
        for content in contents:
            (outcome,) = await session.send(replace(ONE, content=content))
            assert outcome.result == "delivered"
        await session.quit()

    with aiosmtpd_server(inbox) as endpoint:
        run(main(endpoint))
    assert [mail[2] for mail in inbox.mails] == contents


def test_it_keeps_the_session_after_refusals(run):
    inbox = Inbox()
    nobody = replace(ONE, recipients=("nobody@example.test",))
    some = replace(ONE, recipients=("nobody@example.test", "b@example.test", "nobody2@example.test"))

    async def main(endpoint):
        session = await Session.open(endpoint, OPTIONS)
        found = [
            [o.result for o in await session.send(envelope)] for envelope in (nobody, ONE, some, nobody, ONE)
        ]
        await session.quit()
        assert found == [
            ["bounced"], ["delivered"], ["bounced", "delivered", "bounced"], ["bounced"], ["delivered"],
        ]  # fmt: skip

    with aiosmtpd_server(inbox) as endpoint:
        run(main(endpoint))
    assert [mail[1] for mail in inbox.mails] == [["b@example.test"]] * 3


def test_it_names_size_8bit_and_utf8(run):
    inbox = Inbox()
    envelope = Envelope(
        "ä@example.test", ("ö@example.test",), "grün\r\n".encode(), needs_utf8=True, is_8bit=True
    )

    async def main(endpoint):
        (outcome,) = await send(endpoint, envelope)
        assert outcome.result == "delivered"

    with aiosmtpd_server(inbox, enable_SMTPUTF8=True) as endpoint:
        run(main(endpoint))
    ((sender, recipients, content, options),) = inbox.mails
    assert (sender, recipients, content) == ("ä@example.test", ["ö@example.test"], envelope.content)
    assert set(options) == {f"SIZE={len(envelope.content)}", "BODY=8BITMIME", "SMTPUTF8"}


def test_it_refuses_locally_what_is_too_large(run):
    inbox = Inbox()

    async def main(endpoint):
        (outcome,) = await send(endpoint, replace(ONE, content=b"x" * 2000 + b"\r\n"))
        assert (outcome.result, outcome.reply_class, outcome.code) == ("bounced", "too_large", None)

    with aiosmtpd_server(inbox, data_size_limit=1000) as endpoint:
        run(main(endpoint))
    assert inbox.mails == []


@pytest.mark.parametrize("mode", ["opportunistic", "required"])
def test_it_secures_the_session_by_starttls(run, mode, certificates):
    inbox = Inbox()

    async def main(endpoint):
        options = replace(OPTIONS, tls=mode, verify=mode == "required", cafile=str(certificates.ca))
        (outcome,) = await send(
            endpoint, replace(ONE, content=b"x" * 70 + b"\r\n" + b"z\r\n" * 100_000), options
        )
        assert outcome.result == "delivered"
        assert outcome.tls.startswith("TLSv1.3 TLS_")

    settings = {"tls_context": certificates.server_context(), "require_starttls": True}
    with aiosmtpd_server(inbox, **settings) as endpoint:
        run(main(endpoint))
    assert len(inbox.mails) == 1


def test_it_speaks_tls_from_the_start(run, certificates):
    inbox = Inbox()

    async def main(endpoint):
        options = replace(OPTIONS, tls="implicit", verify=True, cafile=str(certificates.ca))
        (outcome,) = await send(endpoint, options=options)
        assert outcome.result == "delivered"
        assert outcome.tls.startswith("TLSv1.3")

    with aiosmtpd_server(inbox, implicit=certificates.server_context()) as endpoint:
        run(main(endpoint))
    assert len(inbox.mails) == 1


@pytest.mark.parametrize("excluded", [[], ["PLAIN"]])
def test_it_logs_in_with_each_mechanism(run, certificates, excluded):
    inbox = Inbox()
    tried = []

    def authenticate(server, session, envelope, mechanism, data):
        assert isinstance(data, LoginPassword)
        tried.append(mechanism)
        return AuthResult(
            handled=False, success=(data.login, data.password) == (b"user@x", "pässword".encode())
        )

    async def main(endpoint):
        options = replace(OPTIONS, tls="required", username="user@x", password="pässword")
        (outcome,) = await send(endpoint, options=options)
        assert outcome.result == "delivered"
        with pytest.raises(SessionFailed) as caught:
            await Session.open(endpoint, replace(options, password="wr0ng"))
        outcome = caught.value.outcome
        assert (outcome.result, outcome.reply_class, outcome.stage) == ("deferred", "authentication", "auth")
        assert outcome.code == 535

    settings = {
        "tls_context": certificates.server_context(),
        "auth_required": True,
        "authenticator": authenticate,
    }
    with aiosmtpd_server(inbox, auth_exclude_mechanism=excluded, **settings) as endpoint:
        run(main(endpoint))
    assert len(inbox.mails) == 1
    assert set(tried) == ({"PLAIN"} if not excluded else {"LOGIN"})


def test_it_sends_over_many_sessions_at_once(run):
    inbox = Inbox()

    async def one_session(endpoint, number):
        session = await Session.open(endpoint, OPTIONS)
        for n in range(20):
            (outcome,) = await session.send(replace(ONE, content=b"%d-%d\r\n" % (number, n)))
            assert outcome.result == "delivered"
        await session.quit()

    async def main(endpoint):
        await asyncio.gather(*(one_session(endpoint, number) for number in range(10)))

    with aiosmtpd_server(inbox) as endpoint:
        run(main(endpoint))
    assert {mail[2] for mail in inbox.mails} == {b"%d-%d\r\n" % (s, n) for s in range(10) for n in range(20)}
    assert len(inbox.mails) == 200


def test_it_refuses_two_sends_at_once(run):
    async def main(endpoint):
        session = await Session.open(endpoint, OPTIONS)
        first = asyncio.ensure_future(session.send(ONE))
        await asyncio.sleep(0)
        assert not session.is_usable
        with pytest.raises(RuntimeError, match="another send"):
            await session.send(ONE)
        (outcome,) = await first
        assert outcome.result == "delivered"
        await session.quit()

    with aiosmtpd_server(Inbox()) as endpoint:
        run(main(endpoint))


def test_it_closes_the_session_when_the_task_is_cancelled(run):
    async def main(endpoint):
        session = await Session.open(endpoint, OPTIONS)
        task = asyncio.ensure_future(session.send(ONE))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not session.is_usable
        await session.quit()

    with aiosmtpd_server(Inbox()) as endpoint:
        run(main(endpoint))
