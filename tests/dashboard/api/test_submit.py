"""What POST /api/v1/messages accepts, on a real database with its own commits."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from queueapp import conf
from queueapp.models import Body, Delivery, IdempotencyKey, Message
from tests.dashboard.api.asking import GOOD, MAIL, is_error, key, post, post_mail, with_key

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(committing: None) -> Client:
    return with_key(key("submit"))


def sent(client: Client, **changes: Any) -> Any:
    return post(client, GOOD | changes)


def stored() -> Any:
    return message_from_bytes(bytes(Body.objects.get().content), policy=policy.default)


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────


def test_it_answers_202_when_the_mail_is_stored(client: Client) -> None:
    response = sent(client)
    assert response.status_code == 202
    message, row = Message.objects.get(), Delivery.objects.get()
    assert response.json() == {
        "id": message.pk,
        "deliveries": [{"id": row.pk, "to": "bob@example.net", "state": "queued"}],
    }
    assert (message.sender, message.subject, message.source) == ("ann@example.com", "Hi", "http")
    assert (message.login, message.client, message.protocol) == ("shop", "127.0.0.1", "HTTP")
    assert stored().get_content() == "Hello\r\n"


def test_it_takes_every_field(client: Client) -> None:
    later = timezone.now() + timedelta(hours=1)
    response = sent(
        client,
        cc=["Cy <cy@example.net>"],
        bcc=["eve@example.org", "bob@example.net"],
        html="<p>Hello</p>",
        headers={"Reply-To": "desk@example.com", "X-Ref": "42"},
        attachments=[
            {
                "filename": "a.bin",
                "content_type": "application/x-thing",
                "content": base64.b64encode(b"\0\1").decode(),
            }
        ],
        priority=9,
        send_at=later.isoformat(),
        expires_at=(later + timedelta(days=1)).isoformat(),
        tags=["spring", "öffentlich"],
    )
    assert response.status_code == 202, response.content
    assert [each["to"] for each in response.json()["deliveries"]] == [
        "bob@example.net", "cy@example.net", "eve@example.org",
    ]  # fmt: skip
    message = Message.objects.get()
    assert (message.priority, message.tags, message.has_attachment) == (9, ["spring", "öffentlich"], True)
    assert message.send_at == later
    assert set(Delivery.objects.values_list("next_attempt_at", flat=True)) == {later}
    mail = stored()
    assert (mail["Reply-To"], mail["X-Ref"], mail["Cc"]) == ("desk@example.com", "42", "Cy <cy@example.net>")
    assert "eve@" not in mail.as_string()
    assert next(mail.iter_attachments()).get_content() == b"\0\1"


# ── Whole mails ───────────────────────────────────────────────────────────────────────────────


def test_it_takes_a_whole_mail_byte_for_byte(client: Client) -> None:
    response = post_mail(client, "?from=ann@example.com&to=bob@example.net&to=cy@example.net")
    assert response.status_code == 202, response.content
    assert [each["to"] for each in response.json()["deliveries"]] == ["bob@example.net", "cy@example.net"]
    assert bytes(Body.objects.get().content) == MAIL
    assert Message.objects.get().subject == "raw"


def test_it_takes_a_bounce_with_the_null_sender(client: Client) -> None:
    assert post_mail(client, "?from=&to=bob@example.net").status_code == 202
    assert Message.objects.get().sender == ""


# ── Sizes ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small() -> Iterator[None]:
    with conf.override(max_size=20_000):
        yield


def test_it_refuses_a_mail_that_is_too_large(client: Client, small: None) -> None:
    query = "?from=a@example.com&to=b@example.net"
    exact = MAIL + b"x\r\n" * ((20_000 - len(MAIL)) // 3)
    assert post_mail(client, query, exact).status_code == 202
    is_error(post_mail(client, query, exact + b"xxx\r\n"), 413, "too_large")
    assert Message.objects.count() == 1


# ── Idempotency ───────────────────────────────────────────────────────────────────────────────


def test_it_answers_the_same_key_the_same_and_stores_nothing_again(client: Client) -> None:
    first = sent(client, idempotency_key="order-1")
    again = sent(client, idempotency_key="order-1", subject="Other")
    assert again.status_code == first.status_code == 202
    assert again.json() == first.json()
    assert Message.objects.count() == 1
    assert sent(client, idempotency_key="order-2").json() != first.json()


def test_it_takes_the_key_as_a_header(client: Client) -> None:
    first = post(client, GOOD, **{"Idempotency-Key": "order-1"})
    assert sent(client, idempotency_key="order-1").json() == first.json()
    query = "?from=ann@example.com&to=bob@example.net"
    one = post_mail(client, query, **{"Idempotency-Key": "mail-1"})
    assert post_mail(client, query, **{"Idempotency-Key": "mail-1"}).json() == one.json()
    assert Message.objects.count() == 2


def test_it_keeps_the_keys_of_two_clients_apart(client: Client) -> None:
    other = with_key(key("submit", name="blog"))
    assert sent(client, idempotency_key="1").json() != sent(other, idempotency_key="1").json()


def test_it_forgets_a_key_after_24_hours(client: Client) -> None:
    first = sent(client, idempotency_key="order-1")
    age = timezone.now() - timedelta(hours=23, minutes=59)
    IdempotencyKey.objects.update(created_at=age)
    assert sent(client, idempotency_key="order-1").json() == first.json()
    IdempotencyKey.objects.update(created_at=age - timedelta(minutes=2))
    assert sent(client, idempotency_key="order-1").json() != first.json()
    assert Message.objects.count() == 2
