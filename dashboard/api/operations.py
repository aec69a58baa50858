"""`/operations`: bulk actions in the background (queueapp/operations acts; DESIGN.md, promise 4)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import Field

from dashboard.api.deliveries import DeliveryOut
from dashboard.api.deliveries import shown as delivery_shown
from dashboard.api.errors import ApiError, Error
from dashboard.api.keys import Asks, Needs, actor
from dashboard.api.sites import Strict
from dashboard.snapshot.operations import shown
from queueapp.models import Operation
from queueapp.operations import actions, sites, trials
from queueapp.operations.exceptions import page
from queueapp.operations.preview import Preview, preview

router = Router(tags=["operations"])
_REFUSALS = {(400, 401, 403, 404, 409, 422, 503): Error}
_ACTIONS = ", ".join(actions.FROM)


class AskedIn(Strict):
    """Either `q` or `ids`."""

    action: str = Field(description=f"One of: {_ACTIONS}.")
    q: str | None = Field(None, description="The search grammar; the empty text is all.")
    ids: list[int] | None = Field(None, description=f"Deliveries, at most {actions.MOST_IDS:,}.")
    arguments: dict[str, Any] = Field({}, description='`{"priority": 0 to 9}` for `priority`.')
    route: str | None = Field(
        None, max_length=64, description="For `reroute`: the name of a route, or `default`."
    )
    seen: str = Field("", description="`seen` of the preview: what came after it is left out.")


class UntouchedOut(Schema):
    reason: str
    why: str
    n: int


class DomainShare(Schema):
    domain: str
    n: int


class ForecastLine(Schema):
    receiver: str
    n: int
    per_minute: float | None
    by: str = Field(description="`rate`: a limit that is set; `measured`; empty: not known.")
    seconds: float | None
    text: str


class ForecastOut(Schema):
    lines: list[ForecastLine]
    n_other: int
    seconds: float | None


class PreviewOut(Schema):
    """`matched` is the number to confirm as `expect`; of these `touchable` can be changed now."""

    action: str
    q: str
    matched: int
    touchable: int
    sample: list[DeliveryOut]
    domains: list[DomainShare]
    n_other_domains: int
    other: int
    untouched: list[UntouchedOut]
    can_undo: bool
    seen: str
    forecast: ForecastOut | None


class LeftOut(Schema):
    id: int
    to: str
    state: str
    reason: str
    why: str
    is_failed: bool


class ExceptionsOut(Schema):
    items: list[LeftOut]
    next: int | None
    count: int
    count_is_exact: bool


class OperationIn(AskedIn):
    expect: int | None = Field(
        None, ge=0, description="How many you were shown; 409 where it differs. Needed with `q`."
    )
    reason: str = Field("", description="For the audit; a hold shows it. At most 200 characters.")
    token: str = Field("", description="Any text, one a click: the same again makes no second operation.")


class RetryIn(Strict):
    expect: int = Field(ge=0, description="How many you were shown: `depth.deferred` of the site.")
    reason: str = ""


class OperationOut(Schema):
    id: int
    action: str
    state: str
    q: str
    is_chosen: bool
    reason: str
    arguments: dict[str, Any]
    actor: str
    matched: int
    done: int
    skipped: int
    failed: int
    note: str
    rate_per_s: float | None
    left_s: float | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    undo_until: datetime | None
    can_undo: bool
    can_cancel: bool
    undo_of: int | None
    cancelled_by: str


class TrialOut(Schema):
    """`state`: `not_tried`, `trying`, `goes`, `late`, `failed`, or by a person `let`, `stop`."""

    id: int
    receiver: str
    n: int
    state: str
    delivery_id: int | None
    reply: str
    since: datetime | None
    until: datetime | None
    may_go: bool
    may_stop: bool


class OperationsIn(Schema):
    limit: int = Field(100, ge=1, le=500)
    cursor: int = Field(0, ge=0, lt=2**63, description="`next` of the page before.")


class OperationsOut(Schema):
    items: list[OperationOut]
    next: int | None
    count: int
    count_is_exact: bool


@router.post("/operations", auth=Asks("operate"), response={202: OperationOut, **_REFUSALS})
def create_operation(request: HttpRequest, asked: OperationIn) -> Status[dict[str, Any]]:
    """Freezes what matches now, and works on it in the background. 409 tells the true count."""
    if asked.q is not None and asked.expect is None:
        raise ApiError(422, "invalid", "With q, expect is needed: how many you were shown.", "expect")
    try:
        made = actions.create(actor(request), **_given(asked))
    except actions.NotAsShown as differs:
        raise ApiError(409, "count_differs", str(differs), "expect", count=differs.n) from None
    return Status(202, shown(made, timezone.now()))


@router.post(
    "/operations/preview",
    auth=Asks("operate"),
    response={200: PreviewOut, **_REFUSALS},
    by_alias=True,
)
def preview_operation(request: HttpRequest, asked: AskedIn) -> dict[str, Any]:
    """What it would do, for the question before it: nothing is changed. A POST, since `ids` may be many."""
    return previewed(preview(actor(request), **_given(asked)))


@router.post("/sites/{site_id}/retry", auth=Asks("operate"), response={202: OperationOut, **_REFUSALS})
def retry_site(request: HttpRequest, site_id: int, asked: RetryIn) -> Status[dict[str, Any]]:
    """Retry all that is deferred at the site, as a paced operation. 409 tells the true count."""
    try:
        made = sites.retry(actor(request), site_id, expect=asked.expect, reason=asked.reason)
    except actions.NotAsShown as differs:
        raise ApiError(409, "count_differs", str(differs), "expect", count=differs.n) from None
    return Status(202, shown(made, timezone.now()))


@router.get("/operations", auth=Needs("read"), response={200: OperationsOut, (401, 403, 422, 503): Error})
def operations(request: HttpRequest, asked: Query[OperationsIn]) -> dict[str, Any]:
    """Newest first."""
    rows, now = Operation.objects.select_related("undone_by").order_by("-id"), timezone.now()
    n = rows.count()
    items = list((rows.filter(pk__lt=asked.cursor) if asked.cursor else rows)[: asked.limit + 1])
    is_more = len(items) > asked.limit
    items = items[: asked.limit]
    return {
        "items": [shown(row, now) for row in items],
        "next": items[-1].pk if is_more else None,
        "count": n,
        "count_is_exact": True,
    }


@router.get(
    "/operations/{operation_id}",
    auth=Needs("read"),
    response={200: OperationOut, (401, 403, 404, 503): Error},
)
def operation(request: HttpRequest, operation_id: int) -> dict[str, Any]:
    """How far it is; at the end `matched` is `done` + `skipped` + `failed`."""
    return shown(actions.named(operation_id), timezone.now())


@router.get(
    "/operations/{operation_id}/exceptions",
    auth=Needs("read"),
    response={200: ExceptionsOut, (401, 403, 404, 422, 503): Error},
)
def exceptions(request: HttpRequest, operation_id: int, asked: Query[OperationsIn]) -> dict[str, Any]:
    """Each row that was left alone or failed, and why."""
    row = actions.named(operation_id)
    found = page(row, asked.cursor, asked.limit)
    return {
        "items": [
            {"id": each.id, "to": each.recipient, "state": each.state, "reason": each.reason,
             "why": each.why, "is_failed": each.is_failed}
            for each in found.items
        ],
        "next": found.next, "count": row.n_skipped + row.n_failed, "count_is_exact": True,
    }  # fmt: skip


@router.get(
    "/operations/{operation_id}/trials", auth=Needs("read"),
    response={200: list[TrialOut], (401, 403, 404, 503): Error}, by_alias=True,
)  # fmt: skip
def list_trials(request: HttpRequest, operation_id: int) -> list[dict[str, Any]]:
    """The mail that a retry tries first at each receiver, and what came of it; at most 100 receivers."""
    return [
        {
            "id": each.id, "receiver": each.receiver, "n": each.n, "state": each.state, "reply": each.reply,
            "delivery_id": each.delivery.pk if each.delivery else None, "since": each.since,
            "until": each.until, "may_go": each.may_go, "may_stop": each.may_stop,
        }
        for each in trials.trials(actions.named(operation_id))
    ]  # fmt: skip


@router.post(
    "/operations/{operation_id}/trials/{trial_id}/go", auth=Asks("operate"),
    response={200: OperationOut, **_REFUSALS},
)  # fmt: skip
def trial_go(request: HttpRequest, operation_id: int, trial_id: int) -> dict[str, Any]:
    """Let the rest of that receiver go without waiting for the first mail."""
    return shown(trials.go_on(actor(request), operation_id, trial_id), timezone.now())


@router.post(
    "/operations/{operation_id}/trials/{trial_id}/stop", auth=Asks("operate"),
    response={200: OperationOut, **_REFUSALS},
)  # fmt: skip
def trial_stop(request: HttpRequest, operation_id: int, trial_id: int) -> dict[str, Any]:
    """What is not due yet of that receiver stays as it was; the others go on."""
    return shown(trials.stop(actor(request), operation_id, trial_id), timezone.now())


@router.post(
    "/operations/{operation_id}/cancel", auth=Asks("operate"), response={200: OperationOut, **_REFUSALS}
)
def cancel_operation(request: HttpRequest, operation_id: int) -> dict[str, Any]:
    """What is done stays done; what was left is listed as cancelled."""
    return shown(actions.cancel(actor(request), operation_id), timezone.now())


@router.post(
    "/operations/{operation_id}/undo", auth=Asks("operate"), response={202: OperationOut, **_REFUSALS}
)
def undo_operation(request: HttpRequest, operation_id: int) -> Status[dict[str, Any]]:
    """A new operation, which reverses what is still as the other left it. Within 24 hours, and once."""
    return Status(202, shown(actions.undo(actor(request), operation_id), timezone.now()))


def _given(asked: AskedIn) -> dict[str, Any]:
    values = asked.dict()
    route = values.pop("route")
    if route is not None:
        values["arguments"] = {**asked.arguments, "route": route}
    return values


def previewed(found: Preview) -> dict[str, Any]:
    told = found.forecast
    return {
        "action": found.action, "q": found.q, "matched": found.matched, "touchable": found.touchable,
        "sample": [delivery_shown(row) for row in found.sample],
        "domains": [{"domain": name, "n": n} for name, n in found.domains],
        "n_other_domains": found.n_other_domains, "other": found.other,
        "untouched": [{"reason": each.reason, "why": each.why, "n": each.n} for each in found.untouched],
        "can_undo": found.can_undo, "seen": found.seen,
        "forecast": told and {
            "lines": [
                {"receiver": line.receiver, "n": line.n, "per_minute": line.per_minute, "by": line.by,
                 "seconds": line.seconds, "text": str(line)}
                for line in told.lines
            ],
            "n_other": told.n_other, "seconds": told.seconds,
        },
    }  # fmt: skip
