"""The command as programs call it: exit codes of sysexits.h, and what is in the queue afterwards."""

from __future__ import annotations

import pytest

from queueapp import conf
from queueapp.engine import domains
from queueapp.models import Body, Delivery, Message
from tests.management.calls import manage

pytestmark = pytest.mark.django_db
MAIL = b"From: ann@example.com\nTo: bob@example.net\nBcc: eve@example.org\nSubject: hi\n\nHello\n"


@pytest.fixture(autouse=True)
def _forget() -> None:
    domains.forget()


def test_it_stores_the_mail_and_exits_with_0() -> None:
    done = manage("sendmail", "-t", "-i", "-f", "ann@example.com", stdin=MAIL)
    assert (done.code, done.out, done.err) == (0, "", "")
    message = Message.objects.get()
    assert (message.sender, message.subject, message.source) == ("ann@example.com", "hi", "sendmail")
    assert message.login
    recipients = Delivery.objects.order_by("id").values_list("recipient", "state")
    assert list(recipients) == [("bob@example.net", "queued"), ("eve@example.org", "queued")]
    content = bytes(Body.objects.get().content)
    assert content.endswith(b"Subject: hi\r\n\r\nHello\r\n")
    assert b"eve" not in content


def test_it_sends_as_the_user_of_this_machine_by_default() -> None:
    with conf.override(hostname="mail.example.com"):
        assert manage("sendmail", "bob@example.net", stdin=b"Subject: x\n\nx\n").code == 0
    assert Message.objects.get().sender.endswith("@mail.example.com")
    assert b"From: " in bytes(Body.objects.get().content)


def test_it_takes_the_null_sender() -> None:
    assert manage("sendmail", "-f", "<>", "bob@example.net", stdin=MAIL).code == 0
    assert Message.objects.get().sender == ""


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "text"),
    [
        (["-bs"], MAIL, 64, "usage: "),
        (["-t"], b"", 65, "no mail"),
        ([], MAIL, 65, "no recipient"),
        (["nobody"], MAIL, 65, "no domain"),
        (["x" * 400 + "@example.net"], MAIL, 65, "longer than"),
        (["bob@example.net"], b"Subject: x\n\na\0b\n", 65, "NUL byte"),
        (["bob@example.net"], b"Subject: x\n\n" + b"x" * 2000 + b"\n", 65, "longer than 998"),
    ],
)
def test_it_says_what_is_wrong_and_stores_nothing(
    arguments: list[str], stdin: bytes, code: int, text: str
) -> None:
    done = manage("sendmail", *arguments, stdin=stdin)
    assert done.code == code
    assert text in done.err
    assert "Traceback" not in done.err
    assert not Message.objects.exists()


def test_it_refuses_a_mail_that_is_too_large() -> None:
    with conf.override(max_size=1000):
        done = manage("sendmail", "bob@example.net", stdin=MAIL + b"x\n" * 1000)
    assert (done.code, done.err) == (65, "The mail is larger than 1000 bytes (MAILWEIR_MAX_SIZE).\n")


def test_it_shows_its_usage() -> None:
    done = manage("sendmail", "--help")
    assert done.code == 0
    assert "-f SENDER" in done.out
