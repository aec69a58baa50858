"""The conversation: what each command is answered, in which order, and what is refused."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Iterator
from typing import Any

import pytest

from queueapp.transports.base import Envelope
from queueapp.transports.smtp.server import HANG_UP, Reply, ServerOptions, ServerSession
from tests.transports.serving import Keeper, Raw, Running, serving


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture(params=["asyncio", "uvloop"])
def server(keeper: Keeper, request: pytest.FixtureRequest) -> Iterator[Running]:
    with serving(keeper, loop=request.param) as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[Raw]:
    with server.client() as raw:
        yield raw.greet()


def test_it_works_with_smtplib(server: Running, keeper: Keeper) -> None:
    with smtplib.SMTP(*server.address, timeout=10) as smtp:
        refused = smtp.sendmail("a@client.test", ["b@mail.test", "c@mail.test"], "Subject: x\r\n\r\n.dot\r\n")
    assert refused == {}
    assert keeper.mails == [
        Envelope("a@client.test", ("b@mail.test", "c@mail.test"), b"Subject: x\r\n\r\n.dot\r\n")
    ]


def test_it_takes_utf8_addresses_with_smtputf8(server: Running, keeper: Keeper) -> None:
    with smtplib.SMTP(*server.address, timeout=10) as smtp:
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        smtp.sendmail("jürgen@client.test", ["用户@例え.test"], "Subject: ü\r\n\r\nü\r\n".encode(), options)
    mail = keeper.mails[0]
    assert (mail.sender, mail.recipients) == ("jürgen@client.test", ("用户@例え.test",))
    assert mail.needs_utf8
    assert mail.is_8bit


def test_it_names_its_abilities(server: Running) -> None:
    with server.client() as client:
        assert client.reply() == "220 mail.test ESMTP Mailweir"
        assert client.say("EHLO client.test").splitlines() == [
            "250-mail.test",
            "250-PIPELINING",
            "250-SIZE 50000000",
            "250-8BITMIME",
            "250-SMTPUTF8",
            "250 ENHANCEDSTATUSCODES",
        ]
        assert client.say("HELO client.test") == "250 mail.test"


def test_it_takes_what_is_said_before_its_greeting(server: Running, keeper: Keeper) -> None:
    with server.client() as client:
        client.send(b"EHLO early.test\r\nNOOP\r\n")
        assert client.reply().startswith("220 ")
        assert client.reply().startswith("250-mail.test")
        assert client.reply() == "250 2.0.0 Ok"


def test_it_takes_null_sender_source_route_quotes_and_missing_brackets(client: Raw, keeper: Keeper) -> None:
    assert client.say("mail from: <> body=7bit size=10") == "250 2.1.0 Ok"
    for path in ("<@relay.test,@b.test:u@c.test>", '<"odd > name"@c.test>', " bare@c.test"):
        assert client.say(f"rcpt to:{path}") == "250 2.1.5 Ok"
    client.say("DATA")
    client.send(b".\r\n")
    assert client.reply().startswith("250 ")
    assert keeper.mails == [Envelope("", ("u@c.test", '"odd > name"@c.test', "bare@c.test"), b"")]


def test_it_answers_a_pipelined_group_in_order(client: Raw, keeper: Keeper) -> None:
    client.send(
        b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nRCPT TO:<>\r\nDATA\r\nhello\r\n.\r\n"
        b"RSET\r\nVRFY b\r\nNOPE\r\nHELP\r\nQUIT\r\nNOOP\r\n"
    )
    codes = [client.reply()[:3] for _ in range(10)]
    assert codes == ["250", "250", "501", "354", "250", "250", "252", "500", "214", "221"]
    assert client.is_closed()
    assert keeper.mails[0].content == b"hello\r\n"


@pytest.mark.parametrize("size", [1, 2, 7])
def test_it_reads_commands_in_any_pieces(server: Running, keeper: Keeper, size: int) -> None:
    script = b"EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n"
    with server.client() as client:
        for at in range(0, len(script), size):
            client.send(script[at : at + size])
        assert [client.reply()[:3] for _ in range(7)] == ["220", "250", "250", "250", "354", "250", "221"]
    assert keeper.mails[0].content == b"hello\r\n"


def test_it_answers_a_client_that_shut_its_sending_side(server: Running, keeper: Keeper) -> None:
    with server.client() as client:
        client.send(b"EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nhello\r\n.\r\n")
        client.socket.shutdown(1)
        assert [client.reply()[:3] for _ in range(6)] == ["220", "250", "250", "250", "354", "250"]
        assert client.is_closed()
    assert len(keeper.mails) == 1


def test_it_drops_a_mail_whose_dot_never_came(server: Running, keeper: Keeper) -> None:
    with server.client() as client:
        client.greet().data()
        client.send(b"half a mail\r\n")
        client.socket.shutdown(1)
        assert client.is_closed()
    assert keeper.mails == []


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("NOPE", "500 5.5.1 "),
        ("", "500 5.5.1 "),
        ("BDAT 3 LAST", "500 5.5.1 "),
        ("EXPN staff", "502 5.5.1 "),
        ("EHLO", "501 5.5.4 "),
        ("EHLO two words", "501 5.5.4 "),
        ("EHLO " + "x" * 300, "501 5.5.4 "),
        ("DATA", "503 5.5.1 "),
        ("RCPT TO:<b@y.test>", "503 5.5.1 "),
        ("STARTTLS", "502 5.5.1 "),
        ("AUTH PLAIN", "503 5.5.1 "),
        ("RSET now", "501 5.5.4 "),
        ("MAIL <a@x.test>", "501 5.5.4 "),
        ("MAIL FROM:", "501 5.1.7 "),
        ("MAIL FROM:<a@x.test", "501 5.1.7 "),
        ("MAIL FROM:<a@x.test>SIZE=1", "501 5.1.7 "),
        ("MAIL FROM:<a@x.test> SIZE=big", "501 5.5.4 "),
        ("MAIL FROM:<a@x.test> SIZE=50000001", "552 5.3.4 "),
        ("MAIL FROM:<a@x.test> SIZE=1 SIZE=2", "501 5.5.4 "),
        ("MAIL FROM:<a@x.test> =", "501 5.5.4 "),
        ("MAIL FROM:<a@x.test> BODY=BINARYMIME", "555 5.5.4 "),
        ("MAIL FROM:<a@x.test> RET=FULL", "555 5.5.4 "),
        ("MAIL FROM:<ü@x.test>", "553 5.6.7 "),
        (b"MAIL FROM:<\xff\xfe@x.test> SMTPUTF8", "501 5.1.7 "),
        ("MAIL FROM:<\x85@x.test> SMTPUTF8", "501 5.1.7 "),
        (b"MAIL FROM:<a\0@x.test>", "501 5.5.2 "),
        (b"NOOP \x1b[2J", "501 5.5.2 "),
        (b"NOOP a\rb", "501 5.5.2 "),
        (b"NO\0OP", "501 5.5.2 "),
        ("NOOP " + "x" * 600, "500 5.5.2 "),
        ("MAIL FROM:<a@x.test> " + "x" * 2048, "500 5.5.2 "),
        ("x" * 20_000, "500 5.5.2 "),
    ],
)
def test_it_refuses(client: Raw, line: str | bytes, reply: str) -> None:
    assert client.say(line).startswith(reply)
    assert client.say("NOOP") == "250 2.0.0 Ok"


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("MAIL FROM:<c@x.test>", "503 5.5.1 "),
        ("DATA", "503 5.5.1 "),
        ("RCPT TO:<>", "501 5.1.3 "),
        ("RCPT TO:<b@y.test> NOTIFY=NEVER", "555 5.5.4 "),
        ("RCPT TO:<ü@y.test>", "553 5.6.7 "),
        ("RCPT FROM:<b@y.test>", "501 5.5.4 "),
        ("DATA now", "501 5.5.4 "),
    ],
)
def test_it_refuses_within_a_transaction(client: Raw, line: str, reply: str) -> None:
    client.say("MAIL FROM:<a@x.test>")
    assert client.say(line).startswith(reply)
    assert client.say("RCPT TO:<b@y.test>") == "250 2.1.5 Ok"


def test_it_wants_ehlo_first(server: Running) -> None:
    with server.client() as client:
        client.reply()
        assert client.say("MAIL FROM:<a@x.test>").startswith("503 5.5.1 ")


def test_it_refuses_commands_that_end_with_a_bare_lf(client: Raw) -> None:
    client.send(b"NOOP\n")
    assert client.reply().startswith("500 5.5.2 ")


def test_it_never_echoes_a_control_character() -> None:
    reply = Reply(550, "5.1.1", "no \r\n250 2.0.0 yes \x1b[2J \x85 \u2028 " + "x" * 5000).encode()
    assert reply.count(b"\r\n") == 1
    assert reply.endswith(b"\r\n")
    assert len(reply) <= 512
    assert b"\x1b" not in reply


def test_it_hangs_up_on_a_browser(server: Running, keeper: Keeper) -> None:
    with server.client() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: mail.test\r\n\r\n"
            b"EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nspam\r\n.\r\n"
        )
        assert client.reply().startswith("220 ")
        assert client.reply().startswith("421 4.7.0 ")
        assert client.is_closed()
    assert keeper.mails == []


def test_it_starts_anew_after_rset_and_ehlo(client: Raw, keeper: Keeper) -> None:
    for word in ("RSET", "EHLO again.test"):
        client.say("MAIL FROM:<old@x.test>")
        client.say("RCPT TO:<old@y.test>")
        assert client.say(word).startswith("250")
        assert client.say("DATA").startswith("503 ")
    client.data("new@y.test")
    client.send(b".\r\n")
    client.reply()
    assert keeper.mails[0].recipients == ("new@y.test",)


class Choosy(Keeper):
    """Refuses some recipients and senders, at once or awaited."""

    def on_mail(self, session: ServerSession, sender: str) -> Any:
        return Reply(550, "5.7.1", "Not you") if sender.startswith("bad") else None

    def on_rcpt(self, session: ServerSession, recipient: str) -> Any:
        if recipient.startswith("crash"):
            raise ValueError("a broken hook")
        if recipient.startswith("gone"):
            return Reply(421, "4.3.2", "Closing")
        return self.later(recipient)

    async def later(self, recipient: str) -> Reply | None:
        await asyncio.sleep(0.01)
        return Reply(550, "5.1.1", f"No {recipient}") if recipient.startswith("no") else None

    def on_data(self, session: ServerSession, envelope: Envelope) -> Any:
        if b"hang up" in envelope.content:
            return HANG_UP
        return self.fail() if b"crash" in envelope.content else super().on_data(session, envelope)

    async def fail(self) -> Reply:
        raise RuntimeError("a broken hook")


def test_it_keeps_the_order_of_replies_when_hooks_are_awaited() -> None:
    keeper = Choosy()
    with serving(keeper) as server, server.client() as client:
        client.greet().send(
            b"MAIL FROM:<bad@x.test>\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<no@y.test>\r\n"
            b"RCPT TO:<b@y.test>\r\nRCPT TO:<nobody@y.test>\r\nNOOP\r\nDATA\r\n"
        )
        codes = [client.reply()[:9] for _ in range(7)]
        assert codes == [
            "550 5.7.1", "250 2.1.0", "550 5.1.1", "250 2.1.5", "550 5.1.1", "250 2.0.0", "354 End d",
        ]  # fmt: skip
        client.send(b"hello\r\n.\r\nNOOP\r\n")
        assert client.reply() == "250 2.0.0 Ok: mail 1"
        assert client.reply() == "250 2.0.0 Ok"
    assert keeper.mails[0].recipients == ("b@y.test",)


def test_it_says_554_to_data_when_no_recipient_was_taken() -> None:
    with serving(Choosy()) as server, server.client() as client:
        client.greet().send(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<no@y.test>\r\nDATA\r\n")
        assert [client.reply()[:9] for _ in range(3)] == ["250 2.1.0", "550 5.1.1", "554 5.5.1"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_it_says_451_when_a_hook_fails() -> None:
    with serving(Choosy()) as server, server.client() as client:
        client.greet().say("MAIL FROM:<a@x.test>")
        assert client.say("RCPT TO:<crash@y.test>").startswith("451 4.3.0 ")
        assert client.say("RCPT TO:<b@y.test>").startswith("250 ")
        client.say("DATA")
        client.send(b"crash\r\n.\r\n")
        assert client.reply().startswith("451 4.3.0 ")
        assert client.say("NOOP") == "250 2.0.0 Ok"


def test_it_closes_after_421_and_after_hanging_up() -> None:
    with serving(Choosy()) as server:
        with server.client() as client:
            client.greet().send(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<gone@y.test>\r\nNOOP\r\n")
            assert [client.reply()[:3] for _ in range(2)] == ["250", "421"]
            assert client.is_closed()
        with server.client() as client:
            client.greet().data()
            client.send(b"hang up\r\n.\r\n")
            assert client.is_closed()


def test_it_may_refuse_a_client_at_its_greeting() -> None:
    class Closed(Keeper):
        def on_connect(self, session: ServerSession) -> Reply:
            return Reply(554, "5.7.1", f"Not for {session.client}")

    with serving(Closed()) as server, server.client() as client:
        assert client.reply() == "554 5.7.1 Not for 127.0.0.1"
        assert client.is_closed()


def test_it_tolerates_bare_lf_commands_where_it_is_told_to(keeper: Keeper) -> None:
    with serving(keeper, ServerOptions(is_strict=False)) as server, server.client() as client:
        client.send(b"EHLO x\nNOOP\n")
        assert [client.reply()[:3] for _ in range(3)] == ["220", "250", "250"]
