"""`GET /api/v1/messages/{id}` and `/messages/{id}/raw`: what was submitted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.http import content_disposition_header
from ninja import Router, Schema
from pydantic import Field

from dashboard.api.errors import Error, not_found
from dashboard.api.keys import Needs
from queueapp.mail.filenames import for_saving
from queueapp.mail.mime import attachment as part_of
from queueapp.mail.mime import view
from queueapp.models import Body, Message

router = Router(tags=["messages"])
_MOST_DELIVERIES = 1000
_LARGEST_ID = 2**63 - 1
_ERRORS = (401, 403, 404, 503)


class RecipientOut(Schema):
    id: int
    to: str
    state: str


class AttachmentOut(Schema):
    """`n` stands in its address. Names are the sender's; `size` is in bytes, after decoding."""

    n: int
    filename: str
    content_type: str
    size: int


class MessageOut(Schema):
    """The first thousand deliveries; `GET /deliveries?q=…` lists all.

    `attachments` is null for a key without the scope `bodies`.
    """

    id: int
    accepted_at: datetime
    sender: str = Field(alias="from")
    from_header: str
    subject: str
    message_id: str
    size: int
    n_recipients: int
    source: str
    client: str
    login: str
    priority: int
    send_at: datetime | None
    expires_at: datetime | None
    tags: list[str]
    has_attachment: bool
    attachments: list[AttachmentOut] | None
    deliveries: list[RecipientOut]


_PLAIN = (
    "id", "accepted_at", "from_header", "subject", "message_id", "size", "n_recipients", "source", "client",
    "login", "priority", "send_at", "expires_at", "tags", "has_attachment",
)  # fmt: skip


@router.get(
    "/messages/{message_id}", auth=Needs("read"), response={200: MessageOut, _ERRORS: Error}, by_alias=True
)
def message(request: HttpRequest, message_id: int) -> dict[str, Any]:
    """Envelope and header facts of a message, with its deliveries."""
    row = Message.objects.filter(pk=message_id).first() if 0 < message_id <= _LARGEST_ID else None
    if row is None:
        raise not_found("message", message_id)
    found = row.deliveries.order_by("id").values_list("id", "recipient", "state")[:_MOST_DELIVERIES]
    return {
        **{name: getattr(row, name) for name in _PLAIN},
        "from": row.sender,
        "attachments": _attachments(message_id) if "bodies" in request.auth.scopes else None,  # type: ignore[attr-defined]
        "deliveries": [{"id": pk, "to": to, "state": state} for pk, to, state in found],
    }


@router.get(
    "/messages/{message_id}/raw",
    auth=Needs("bodies"),
    response={_ERRORS: Error},
    openapi_extra={
        "responses": {
            200: {
                "description": "The mail as it was submitted.",
                "content": {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}},
            }
        }
    },
)
def raw(request: HttpRequest, message_id: int) -> HttpResponse:
    """The MIME source, byte for byte. To be saved, never to be shown by a browser."""
    return _to_save(_raw(message_id), "message/rfc822", f"message-{message_id}.eml")


@router.get(
    "/messages/{message_id}/attachments/{n}",
    auth=Needs("bodies"),
    response={_ERRORS: Error},
    openapi_extra={
        "responses": {
            200: {
                "description": "What is in it, decoded.",
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            }
        }
    },
)
def attachment(request: HttpRequest, message_id: int, n: int) -> HttpResponse:
    """One attachment, to be saved: never under the type that the mail gives it."""
    found = part_of(_raw(message_id), n)
    if found is None:
        raise not_found("attachment", n)
    part, content = found
    name = for_saving(part.filename, f"message-{message_id}-part-{n}")
    return _to_save(content, "application/octet-stream", name)


def _raw(message_id: int) -> bytes:
    known = 0 < message_id <= _LARGEST_ID
    content = Body.objects.filter(pk=message_id).values_list("content", flat=True).first() if known else None
    if content is None:
        raise not_found("message", message_id)
    return bytes(content)


def _attachments(message_id: int) -> list[dict[str, Any]]:
    found = view(_raw(message_id), limit=0).attachments
    return [{"n": n, **part._asdict()} for n, part in enumerate(found, 1)]


def _to_save(content: bytes, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name)
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["X-Content-Type-Options"] = "nosniff"
    return response
