"""The short way of POST /api/v1/messages, spoken to as an ASGI server does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from dashboard.api import keys
from dashboard.asgi import application
from queueapp import conf
from queueapp.models import Body, Message
from tests.dashboard.api.asking import GOOD, MAIL, key

pytestmark = pytest.mark.django_db(transaction=True)


def request(
    body: list[bytes], *, secret: str = "", query: str = "", kind: str = "application/json", ends: bool = True
) -> tuple[int, dict[str, str], dict[str, Any], int]:
    """(status, headers, JSON, how many parts of the body were read)."""
    headers = [(b"host", b"127.0.0.1"), (b"content-type", kind.encode())]
    if secret:
        headers.append((b"authorization", f"Bearer {secret}".encode()))
    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/messages", "headers": headers,
        "http_version": "1.1", "query_string": query.encode("latin-1"),
        "client": ("192.0.2.7", 4711), "server": ("127.0.0.1", 80),
        "scheme": "http", "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in body]
    waiting.append({"type": "http.request", "body": b""} if ends else {"type": "http.disconnect"})
    n_parts, sent = len(waiting), []

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    asyncio.run(asyncio.wait_for(application(scope, receive, send), 20))
    if not sent:
        return 0, {}, {}, n_parts - len(waiting)
    names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], names, json.loads(sent[1]["body"]), n_parts - len(waiting)


def parts_of(message: Any) -> list[bytes]:
    whole = json.dumps(message).encode()
    return [whole[:10], whole[10:]]


def test_it_accepts_mail(committing: None) -> None:
    status, headers, told, _ = request(parts_of(GOOD), secret=key("submit"))
    assert status == 202
    assert headers["content-type"].startswith("application/json")
    message = Message.objects.get()
    assert (told["id"], message.client, message.login) == (message.pk, "192.0.2.7", "shop")


def test_it_accepts_a_whole_mail(committing: None) -> None:
    query = "from=ann@example.com&to=bob@example.net"
    status, _, _, _ = request([MAIL], secret=key("submit"), query=query, kind="message/rfc822")
    assert status == 202
    assert bytes(Body.objects.get().content) == MAIL


@pytest.mark.parametrize(
    ("secret", "body", "status", "code"),
    [
        ("mw_wrong", parts_of(GOOD), 401, "key_unknown"),
        ("", parts_of(GOOD), 401, "key_missing"),
        ("right", [b"{"], 400, "bad_json"),
        ("right", [], 400, "bad_json"),
        ("right", parts_of(GOOD | {"to": ["bob"]}), 422, "invalid"),
    ],
)
def test_it_refuses_as_the_usual_way_does(
    committing: None, secret: str, body: list[bytes], status: int, code: str
) -> None:
    told = request(body, secret=key("submit") if secret == "right" else secret)
    assert (told[0], told[2]["error"]) == (status, code)
    assert not Message.objects.exists()


def test_it_stops_reading_a_body_that_is_too_large(committing: None) -> None:
    secret = key("submit")
    with conf.override(max_size=10_000):
        status, _, told, n_read = request([b"x" * 60_000] * 20, secret=secret)
    assert (status, told["error"]) == (413, "too_large")
    assert n_read == 2


@pytest.mark.parametrize(("secret", "code"), [("mw_wrong", "key_unknown"), ("read", "scope_missing")])
def test_it_reads_no_body_of_somebody_who_may_not_submit(committing: None, secret: str, code: str) -> None:
    told = request([b"x" * 60_000] * 20, secret=key("read") if secret == "read" else secret)
    assert (told[2]["error"], told[3]) == (code, 0)


def test_it_takes_nothing_from_a_client_that_goes_away(committing: None) -> None:
    status, _, _, _ = request(parts_of(GOOD), secret=key("submit"), ends=False)
    assert status == 0
    assert not Message.objects.exists()


@pytest.mark.parametrize(("query", "status"), [("from=%ff&to=a@b.example", 422), ("from=\xff", 400)])
def test_it_answers_a_query_that_is_no_text(committing: None, query: str, status: int) -> None:
    told = request([MAIL], secret=key("submit"), query=query, kind="message/rfc822")
    assert told[0] == status
    assert told[2]["detail"]


def test_it_meets_a_database_that_was_away(committing: None) -> None:
    secret = key("submit")
    assert request(parts_of(GOOD), secret=secret)[0] == 202
    if connection.vendor == "postgresql":
        asyncio.run(sync_to_async(lambda: connection.connection.close())())
    keys.forget()
    assert request(parts_of(GOOD), secret=secret)[0] == 202
