"""A key and the requests made with it."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from queueapp.access.actions import create_api_key
from tests.access.by import by

GOOD = {"from": "Ann <ann@example.com>", "to": ["bob@example.net"], "subject": "Hi", "text": "Hello\n"}
MAIL = b"From: ann@example.com\r\nSubject: raw\r\n\r\nHello\r\n"


def key(*scopes: str, name: str = "shop") -> str:
    """The secret of a new key."""
    return create_api_key(name, scopes or ("submit", "read"), actor=by())[1]


def with_key(secret: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)


def post(client: Client, message: Any, **headers: str) -> Any:
    """POST /messages with JSON; a bytes body is sent as it is."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return client.post("/api/v1/messages", body, content_type="application/json", headers=headers)


def post_mail(client: Client, query: str, body: bytes = MAIL, **headers: str) -> Any:
    """POST /messages with a whole mail; the envelope is in the query."""
    url = f"/api/v1/messages{query}"
    return client.post(url, body, content_type="message/rfc822", headers=headers)


def is_error(response: Any, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    """Check the shape of an error; answers it."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    told: dict[str, Any] = response.json()
    assert told["error"] == code, told
    assert told["field"] == field, told
    assert isinstance(told["detail"], str)
    assert told["detail"]
    return told
