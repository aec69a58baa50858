"""What POST /api/v1/messages refuses: the field that is wrong, and why."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from queueapp import conf
from queueapp.models import Message
from tests.dashboard.api.asking import GOOD, MAIL, is_error, key, post, post_mail, with_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return with_key(key("submit"))


def sent(client: Client, **changes: Any) -> Any:
    return post(client, GOOD | changes)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"{", "line 1"),
        (b'{"from": "a@example.com",\n oops}', "line 2"),
        (b" ", ""),
        (b"hello", ""),
        (b'{"from": "\xff"}', ""),
        (b"[]", "object"),
        (b'"text"', "object"),
        (b"[" * 10_000, ""),
        (b'{"subject": "\\ud800"}', ""),
    ],
)
def test_it_says_where_a_body_is_not_json(client: Client, body: bytes, where: str) -> None:
    assert where in is_error(post(client, body), 400, "bad_json")["detail"]
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field", "why"),
    [
        ({"from": "ann"}, "from", "no domain"),
        ({"from": "a@example.com, b@example.com"}, "from", "address"),
        ({"from": "a@example.com\r\nBcc: eve@example.org"}, "from", "control"),
        ({"from": None}, "from", "string"),
        ({"to": ["bob@example.net", "bob"]}, "to[1]", "no domain: write local@domain"),
        ({"to": ["x" * 388 + "@example.net"]}, "to[0]", "longer than 254 octets"),
        ({"to": ["bob@example.net\0"]}, "to[0]", "control"),
        ({"to": ["a b@example.net"]}, "to[0]", "space"),
        ({"to": ["a@example.net, b@example.net"]}, "to[0]", ""),
        ({"to": ["bob@[192.0.2.1]"]}, "to[0]", "literal"),
        ({"to": []}, "to", "no recipient"),
        ({"to": "bob@example.net"}, "to", "list"),
        ({"cc": ["@example.net"]}, "cc[0]", "before the @"),
        ({"bcc": ["bob@"]}, "bcc[0]", "after the @"),
        ({"subject": "Hi\r\nBcc: eve@example.org"}, "subject", "line break"),
        ({"subject": "Hi\0"}, "subject", ""),
        ({"subject": "x" * 999}, "subject", "998"),
        ({"text": "a\0b"}, "text", "NUL"),
        ({"html": "a\0b"}, "html", "NUL"),
        ({"headers": {"X-A": "1\nBcc: eve@example.org"}}, "headers.X-A", "line break"),
        ({"headers": {"X A": "1"}}, "headers.X A", "header name"),
        ({"headers": {"Bcc": "eve@example.org"}}, "headers.Bcc", "written by the queue"),
        ({"headers": {"X-A": 1}}, "headers.X-A", "string"),
        ({"headers": []}, "headers", "dictionary"),
        ({"attachments": [{"content": "?"}]}, "attachments[0].content", "base64"),
        ({"attachments": [{"filename": "a"}]}, "attachments[0].content", "missing"),
        ({"attachments": [{"content": "", "content_type": "x"}]}, "attachments[0].content_type", "look like"),
        ({"attachments": [{"content": "", "filename": "a\nb"}]}, "attachments[0].filename", "line break"),
        ({"priority": 10}, "priority", "9"),
        ({"priority": "high"}, "priority", "integer"),
        ({"send_at": "tomorrow"}, "send_at", ""),
        ({"send_at": "2026-01-01T00:00:00"}, "send_at", "timezone"),
        ({"send_at": "9000-01-01T00:00:00Z"}, "send_at", "more than a year"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at", "before the mail could go"),
        ({"tags": ["x" * 65]}, "tags[0]", "64"),
        ({"tags": ["a\nb"]}, "tags", "printable"),
        ({"tags": ["x"] * 21}, "tags", "20"),
        ({"idempotency_key": "x" * 256}, "idempotency_key", "255"),
        ({"idempotency_key": "a\0b"}, "idempotency_key", "printable"),
        ({"sender": "x"}, "sender", "no field 'sender'"),
    ],
)
def test_it_names_the_field_that_is_wrong(client: Client, changes: Any, field: str, why: str) -> None:
    assert why in is_error(sent(client, **changes), 422, "invalid", field)["detail"]
    assert not Message.objects.exists()


def test_it_says_which_field_is_missing(client: Client) -> None:
    told = is_error(post(client, {"to": ["bob@example.net"]}), 422, "invalid", "from")
    assert "'from' is missing" in told["detail"]


def test_it_refuses_too_many_recipients(client: Client) -> None:
    with conf.override(max_recipients=2):
        is_error(sent(client, to=[f"{n}@example.net" for n in range(3)]), 422, "invalid", "to")


@pytest.mark.parametrize(
    ("query", "body", "field", "why"),
    [
        ("?to=bob@example.net", MAIL, "from", "?from="),
        ("?from=ann@example.com", MAIL, "to", "&to="),
        ("?from=ann&to=bob@example.net", MAIL, "from", "no domain"),
        ("?from=a@example.com&to=bob", MAIL, "to[0]", "no domain"),
        ("?from=a@example.com&to=b@example.net", b"\r\n", "body", "empty"),
        ("?from=a@example.com&to=b@example.net", b"Subject: x\r\n\r\na\0b", "content", "NUL"),
        ("?from=a@example.com&to=b@example.net", b"x" * 999, "content", "longer than 998"),
    ],
)
def test_it_refuses_a_wrong_envelope(client: Client, query: str, body: bytes, field: str, why: str) -> None:
    assert why in is_error(post_mail(client, query, body), 422, "invalid", field)["detail"]
    assert not Message.objects.exists()


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", ""])
def test_it_refuses_other_types(client: Client, kind: str) -> None:
    is_error(client.post("/api/v1/messages", b"x", content_type=kind), 415, "unsupported_type")


def test_it_refuses_json_that_is_too_large_before_reading_it(client: Client) -> None:
    with conf.override(max_size=20_000):
        told = is_error(sent(client, text="x" * 200_000), 413, "too_large")
    assert "20000 bytes" in told["detail"]


def test_it_refuses_json_that_makes_too_large_a_mail(client: Client) -> None:
    with conf.override(max_size=20_000):
        is_error(sent(client, text="xxxxxxxxx\n" * 2500), 413, "too_large", "content")
    assert not Message.objects.exists()


def test_it_refuses_two_different_keys(client: Client) -> None:
    response = post(client, GOOD | {"idempotency_key": "a"}, **{"Idempotency-Key": "b"})
    is_error(response, 422, "invalid", "idempotency_key")


@pytest.mark.parametrize("wrong", ["x" * 256, "a\x01b"])
def test_it_refuses_a_header_that_is_no_key(client: Client, wrong: str) -> None:
    is_error(post(client, GOOD, **{"Idempotency-Key": wrong}), 422, "invalid", "Idempotency-Key")


def test_it_needs_the_scope_submit() -> None:
    is_error(sent(with_key(key("read"))), 403, "scope_missing")
    is_error(sent(with_key("mw_wrong")), 401, "key_unknown")
    is_error(sent(Client()), 401, "key_missing")
    assert not Message.objects.exists()
