"""A message as JSON: its schema, and the way from it to a `Submission`.

Promises: every refusal names the field as the caller wrote it (`to[2]`, `headers`, `attachments[0].content`)
and says what is allowed; Bcc recipients are in the envelope only. Checks the shape; what an address
or a header may hold is decided by `queueapp.mail`, and everything else by the gate.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import orjson
import pydantic
from django.utils import timezone
from ninja import Schema
from pydantic import ConfigDict, Field, StringConstraints

from dashboard.api.errors import ApiError
from queueapp import conf
from queueapp.ingest.submission import Submission
from queueapp.mail.address import Address, AddressError, parse_address, parse_mailbox_header
from queueapp.mail.mime import Attachment, ComposeError, compose

Tag = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Text = Annotated[str, StringConstraints(max_length=998)]


class AttachmentIn(Schema):
    model_config = ConfigDict(extra="forbid")

    filename: str = Field("", max_length=255)
    content_type: str = Field("application/octet-stream", max_length=255)
    content: str = Field(description="base64")


class MessageIn(Schema):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_: Text = Field(alias="from", description="`a@example.com` or `Name <a@example.com>`")
    to: list[Text] = []
    cc: list[Text] = []
    bcc: list[Text] = Field([], description="In the envelope only; never in the mail.")
    subject: Text = ""
    text: str = ""
    html: str = ""
    headers: dict[str, str] = Field({}, description="More header fields.", max_length=100)
    attachments: list[AttachmentIn] = Field([], max_length=1000)
    priority: int = Field(5, ge=0, le=9, description="9 is sent first.")
    send_at: pydantic.AwareDatetime | None = Field(None, description="Not before this time (with a zone).")
    expires_at: pydantic.AwareDatetime | None = Field(None, description="Give up after this time.")
    tags: list[Tag] = Field([], max_length=20)
    idempotency_key: str = Field("", max_length=255)


def schema() -> dict[str, Any]:
    """The JSON schema of a message, in one piece: OpenAPI has no place for definitions inside a body."""
    whole = MessageIn.model_json_schema(by_alias=True)
    for name, definition in whole.pop("$defs").items():
        whole = _put(whole, {"$ref": f"#/$defs/{name}"}, definition)
    return whole


def _put(node: Any, reference: dict[str, str], definition: dict[str, Any]) -> Any:
    if node == reference:
        return definition
    if isinstance(node, dict):
        return {key: _put(each, reference, definition) for key, each in node.items()}
    return [_put(each, reference, definition) for each in node] if isinstance(node, list) else node


def read(body: bytes) -> MessageIn:
    """Parse and check a request's body. Raises ApiError."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ApiError(400, "bad_json", f"The body is not JSON: {error.msg} at {where}.") from None
    if not isinstance(data, dict):
        raise ApiError(400, "bad_json", "The body must be a JSON object.")
    try:
        return MessageIn.model_validate(data)
    except pydantic.ValidationError as error:
        raise _invalid(error.errors(include_url=False, include_context=False)[0]) from None


def _invalid(mistake: Any) -> ApiError:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in mistake["loc"]]
    field = "".join(parts).removeprefix(".")
    if mistake["type"] == "extra_forbidden":
        return ApiError(422, "invalid", f"There is no field {field[:100]!r}.", field[:100])
    if mistake["type"] == "missing":
        return ApiError(422, "invalid", f"The field {field!r} is missing.", field)
    return ApiError(422, "invalid", f"{field}: {mistake['msg']}.", field[:100])


def submission(message: MessageIn, *, client: str, login: str) -> Submission:
    """Compose the mail and its envelope. Raises ApiError with the field's name."""
    sender = _one(message.from_, "from")
    lists = [(name, _each(getattr(message, name), name)) for name in ("to", "cc", "bcc")]
    recipients = _unique(address for _, addresses in lists for address in addresses)
    if not recipients:
        raise ApiError(422, "invalid", "There is no recipient: fill to, cc or bcc.", "to")
    return Submission(
        sender=str(sender),
        recipients=recipients,
        content=_composed(message, sender.domain),
        source="http",
        client=client,
        protocol="HTTP",
        login=login,
        priority=message.priority,
        send_at=message.send_at,
        expires_at=message.expires_at,
        tags=tuple(message.tags),
        idempotency_key=message.idempotency_key,
    )


def _composed(message: MessageIn, domain: str) -> bytes:
    now: datetime = timezone.now()
    try:
        return compose(
            from_=message.from_,
            to=message.to,
            cc=message.cc,
            subject=message.subject,
            text=message.text,
            html=message.html,
            headers=message.headers,
            attachments=[_attachment(each, n) for n, each in enumerate(message.attachments)],
            message_id="",
            date=now,
            hostname=conf.current().host,
        )
    except ComposeError as error:
        raise ApiError(422, "invalid", f"{error.field}: {error.reason}.", error.field) from None


def _attachment(given: AttachmentIn, number: int) -> Attachment:
    try:
        content = base64.b64decode(given.content, validate=True)
    except (binascii.Error, ValueError) as error:
        field = f"attachments[{number}].content"
        raise ApiError(422, "invalid", f"{field} is not base64: {error}.", field) from None
    return Attachment(given.filename, given.content_type, content)


def _one(value: str, field: str) -> Address:
    found = _mailboxes(value, field)
    if len(found) != 1:
        raise ApiError(422, "invalid", f"{field}: write exactly one address, not {len(found)}.", field)
    return found[0]


def _each(values: list[str], name: str) -> list[Address]:
    return [_one(value, f"{name}[{n}]") for n, value in enumerate(values)]


def _mailboxes(value: str, field: str) -> list[Address]:
    """A bare address is read by the strict reader, so that its reason is the precise one."""
    try:
        if "<" not in value:
            return [parse_address(value.strip(" "))]
        return [address for _, address in parse_mailbox_header(value)]
    except AddressError as error:
        raise ApiError(422, "invalid", f"{field}: {error}", field) from None


def _unique(addresses: Iterable[Address]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(address) for address in addresses))
