"""`POST /api/v1/messages`: JSON or a whole mail, in; 202 when it is stored, out.

Promises: 202 is answered after the commit, never before; a body that is too large is answered 413
before it is read into memory; large bodies are parsed off the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status

from dashboard.api.errors import ApiError, Error
from dashboard.api.keys import NeedsAsync
from dashboard.api.message_in import read, schema, submission
from queueapp import conf
from queueapp.ingest.accept import accept_async
from queueapp.ingest.submission import Submission
from queueapp.mail.address import AddressError, parse_address

router = Router(tags=["messages"])

# Parsing this much takes under a millisecond; more goes to a thread.
_SMALL = 64_000
# base64 makes a third more, and JSON may escape.
_JSON_GROWTH = 1.5


class StoredOut(Schema):
    id: int
    to: str
    state: str


class AcceptedOut(Schema):
    id: int
    deliveries: list[StoredOut]


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": schema()},
            "message/rfc822": {"schema": {"type": "string", "format": "binary"}},
        },
    },
    "parameters": [
        {"in": "header", "name": "Idempotency-Key", "schema": {"type": "string", "maxLength": 255}},
        {
            "in": "query",
            "name": "from",
            "schema": {"type": "string"},
            "description": "Envelope sender of a message/rfc822 body; empty is the null sender.",
        },
        {
            "in": "query",
            "name": "to",
            "schema": {"type": "array", "items": {"type": "string"}},
            "description": "Envelope recipients of a message/rfc822 body.",
        },
    ],
}


@router.post(
    "/messages",
    auth=NeedsAsync("submit"),
    response={202: AcceptedOut, (400, 401, 403, 413, 415, 422, 429, 503): Error},
    openapi_extra=_BODY,
    url_name="messages",
)
async def submit(request: HttpRequest) -> Status[Any]:
    """Accept a message. It is stored when this answers 202.

    The same `idempotency_key` (or `Idempotency-Key` header) within 24 hours gives the same answer
    and no second message.
    """
    make = _maker(request)
    body = _body(request, conf.current().max_size if make is from_mail else most_bytes())
    small = len(body) < _SMALL
    made = make(request, body) if small else await asyncio.to_thread(make, request, body)
    accepted = await accept_async(made)
    deliveries = [{"id": id_, "to": to, "state": state} for id_, to, state in accepted.deliveries]
    return Status(202, {"id": accepted.message_id, "deliveries": deliveries})


def _maker(request: HttpRequest) -> Callable[[HttpRequest, bytes], Submission]:
    kind = request.content_type or ""
    if kind == "application/json":
        return from_json
    if kind == "message/rfc822":
        return from_mail
    raise ApiError(
        415, "unsupported_type", f"Content-Type {kind[:100]!r}: send application/json or message/rfc822."
    )


def _body(request: HttpRequest, limit: int) -> bytes:
    """The body, if it holds no more than `limit` bytes, whatever its Content-Length says."""
    told = request.META.get("CONTENT_LENGTH") or "0"
    if told.isdigit() and int(told) > limit:
        raise too_large()
    body = request.read(limit + 1)
    if len(body) > limit:
        raise too_large()
    return body


def most_bytes() -> int:
    """The largest body that may hold a mail of MAILWEIR_MAX_SIZE."""
    return int(conf.current().max_size * _JSON_GROWTH) + 100_000


def too_large() -> ApiError:
    most = conf.current().max_size
    return ApiError(413, "too_large", f"The message is larger than {most} bytes (MAILWEIR_MAX_SIZE).")


def from_json(request: HttpRequest, body: bytes) -> Submission:
    message = read(body)
    header = _idempotency_key(request)
    if header and message.idempotency_key and header != message.idempotency_key:
        raise ApiError(422, "invalid", "The header Idempotency-Key says another key.", "idempotency_key")
    message.idempotency_key = message.idempotency_key or header
    return submission(message, client=_client(request), login=request.auth.name)  # type: ignore[attr-defined]


def from_mail(request: HttpRequest, body: bytes) -> Submission:
    """A mail as it is; the envelope stands in the address: `?from=…&to=…&to=…`."""
    if not body.strip():
        raise ApiError(422, "invalid", "The body is empty: send a mail with its header.", "body")
    sender = request.GET.get("from")
    if sender is None:
        raise ApiError(422, "invalid", "Name the envelope sender: ?from=ADDRESS", "from")
    recipients = request.GET.getlist("to")
    if not recipients:
        raise ApiError(422, "invalid", "Name at least one recipient: &to=ADDRESS", "to")
    return Submission(
        sender=_address(sender, "from") if sender else "",
        recipients=tuple(dict.fromkeys(_address(each, f"to[{n}]") for n, each in enumerate(recipients))),
        content=body,
        source="http",
        client=_client(request),
        protocol="HTTP",
        login=request.auth.name,  # type: ignore[attr-defined]
        idempotency_key=_idempotency_key(request),
    )


def _address(value: str, field: str) -> str:
    try:
        return str(parse_address(value))
    except AddressError as error:
        raise ApiError(422, "invalid", f"{field}: {error}", field) from None


def _idempotency_key(request: HttpRequest) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > 255 or not key.isprintable():
        raise ApiError(422, "invalid", "At most 255 printable characters.", "Idempotency-Key")
    return key


def _client(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR") or "")[:64]
