"""Send a mail again, to another address, or copy it to the sandbox (operations/again.py, copies.py act)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from dashboard.api.deliveries import DeliveryOut, shown
from dashboard.api.errors import ApiError, Error
from dashboard.api.keys import Asks, actor
from dashboard.api.sites import Strict
from queueapp.operations import again, copies

router = Router(tags=["operations"])
_REFUSALS = {(401, 403, 404, 409, 422, 503): Error}
_REASON = Field(description="For the audit: 1 to 200 characters.")


class AgainIn(Strict):
    reason: str = _REASON


class ReaddressIn(Strict):
    address: str = Field(description="The corrected one.")
    reason: str = _REASON


class CopyOut(Schema):
    sandbox_id: int = Field(description="The number of the copy among the sandbox's mails.")


@router.post(
    "/deliveries/{delivery_id}/again",
    auth=Asks("operate"),
    response={201: DeliveryOut, **_REFUSALS},
    by_alias=True,
)
def send_again(request: HttpRequest, delivery_id: int, asked: AgainIn) -> Status[dict[str, Any]]:
    """A new delivery to the same address; the old one, which must be over, stays as it is."""
    return Status(201, shown(again.send_again(actor(request), delivery_id, asked.reason)))


@router.post(
    "/deliveries/{delivery_id}/readdress",
    auth=Asks("operate"),
    response={201: DeliveryOut, **_REFUSALS},
    by_alias=True,
)
def readdress(request: HttpRequest, delivery_id: int, asked: ReaddressIn) -> Status[dict[str, Any]]:
    """A new delivery to a corrected address; the old one is closed, where it is open."""
    made = again.readdress(actor(request), delivery_id, asked.address, asked.reason)
    return Status(201, shown(made))


@router.post("/messages/{message_id}/copy", auth=Asks("operate"), response={201: CopyOut, **_REFUSALS})
def copy(request: HttpRequest, message_id: int) -> Status[dict[str, int]]:
    """A copy to the sandbox, as its receiver would get it; answers within half a minute."""
    try:
        return Status(201, {"sandbox_id": copies.copy_to_sandbox(actor(request), message_id)})
    except copies.NotTaken as error:
        raise ApiError(503, "sandbox_away", str(error)) from None
