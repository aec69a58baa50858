"""The backend that shares the database, through Django's own mail functions."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy

import pytest
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection, send_mail
from django.db import transaction
from django.test import override_settings

from queueapp.engine import domains
from queueapp.ingest.submission import Refused
from queueapp.models import Body, Delivery, Message

pytestmark = pytest.mark.django_db
BACKEND = "queueapp.ingest.backend.EmailBackend"


@pytest.fixture(autouse=True)
def _backend() -> Iterator[None]:
    domains.forget()
    with override_settings(EMAIL_BACKEND=BACKEND):
        yield


def test_it_stores_what_send_mail_sends() -> None:
    assert send_mail("Hi", "Hello\n", "Ann <ann@example.com>", ["bob@example.net"]) == 1
    message = Message.objects.get()
    assert (message.sender, message.subject, message.source) == ("ann@example.com", "Hi", "backend")
    assert Delivery.objects.get().recipient == "bob@example.net"
    content = bytes(Body.objects.get().content)
    assert content.endswith(b"\r\n\r\nHello\r\n")
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_it_keeps_bcc_in_the_envelope() -> None:
    EmailMessage(
        "Hi", "x", "ann@example.com", ["bob@example.net"], bcc=["eve@example.org"], cc=["cy@example.org"]
    ).send()
    recipients = set(Delivery.objects.values_list("recipient", flat=True))
    assert recipients == {"bob@example.net", "eve@example.org", "cy@example.org"}
    assert b"eve@" not in bytes(Body.objects.get().content)


def test_it_keeps_names_alternatives_and_files() -> None:
    mail = EmailMultiAlternatives("Grüße", "Hallo", "Änn <ann@example.com>", ["Bob <bob@müller.example>"])
    mail.attach_alternative("<p>Hallo</p>", "text/html")
    mail.attach("a.pdf", b"%PDF", "application/pdf")
    assert mail.send() == 1
    message = Message.objects.get()
    assert (message.subject, message.has_attachment) == ("Grüße", True)
    assert Delivery.objects.get().recipient == "bob@xn--mller-kva.example"
    stored = message_from_bytes(bytes(Body.objects.get().content), policy=policy.default)
    assert [part.get_content_type() for part in stored.walk()][-3:] == [
        "text/plain", "text/html", "application/pdf",
    ]  # fmt: skip


def test_it_counts_many() -> None:
    mails = [EmailMessage("Hi", "x", "a@example.com", [f"{n}@example.net"]) for n in range(3)]
    assert get_connection().send_messages(mails) == 3
    assert Message.objects.count() == 3


def test_it_sends_nothing_to_nobody() -> None:
    assert EmailMessage("Hi", "x", "a@example.com", []).send() == 0
    assert get_connection().send_messages([EmailMessage("Hi", "x", "a@example.com", [])]) == 0


@pytest.mark.parametrize("to", ["nobody", "a b@example.net", "x" * 400 + "@example.net"])
def test_it_raises_what_the_gate_refuses(to: str) -> None:
    with pytest.raises((Refused, ValueError), match=r"no domain|address|longer|empty"):
        send_mail("Hi", "x", "a@example.com", [to])
    assert not Message.objects.exists()


def test_it_is_silent_where_it_shall_be_and_goes_on() -> None:
    mails = [EmailMessage("Hi", "x", "a@example.com", [to]) for to in ("nobody", "bob@example.net")]
    assert get_connection(fail_silently=True).send_messages(mails) == 1
    assert Delivery.objects.get().recipient == "bob@example.net"


def test_it_lets_no_header_be_smuggled_in() -> None:
    with pytest.raises(ValueError, match="newlines"):
        send_mail("Hi\nBcc: eve@example.org", "x", "a@example.com", ["bob@example.net"])
    assert send_mail("Hi\nX: y", "x", "a@example.com", ["b@example.net"], fail_silently=True) == 0
    assert not Message.objects.exists()


def test_it_goes_back_with_the_transaction_of_the_view() -> None:
    def view() -> None:
        with transaction.atomic():
            send_mail("Hi", "x", "a@example.com", ["bob@example.net"])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        view()
    assert not Message.objects.exists()
