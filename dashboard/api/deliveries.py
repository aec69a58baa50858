"""`GET /api/v1/deliveries` and `/deliveries/{id}`: the queue by the search grammar, page by page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from dashboard import filters
from dashboard.api.errors import ApiError, Error, bad_query, not_found
from dashboard.api.keys import Needs
from dashboard.snapshot.replies import url_of
from queueapp.models import Attempt, AttemptTranscript, Delivery

router = Router(tags=["queue"])
_MOST_ATTEMPTS = 500
_MOST_TRANSCRIPTS = 50
_LARGEST_ID = 2**63 - 1


class DeliveriesIn(Schema):
    q: str = Field("", description="The search grammar, such as `state:deferred domain:example.com age>2h`.")
    order: str = Field(filters.DEFAULT_ORDER, description="One of: " + ", ".join(filters.ORDERS))
    limit: int = Field(100, ge=1, le=filters.MOST)
    cursor: str = Field("", description="`next` of the page before.")


class DeliveryOut(Schema):
    """A delivery with its last reply."""

    id: int
    message_id: int
    to: str
    domain: str
    state: str
    priority: int
    from_: str = Field(alias="from")
    subject: str
    size: int
    accepted_at: datetime
    next_attempt_at: datetime | None
    expires_at: datetime
    finished_at: datetime | None
    n_attempts: int
    last_attempt_at: datetime | None
    reply_class: str = Field(alias="class")
    code: int | None
    enhanced: str
    reply: str
    host: str
    is_ambiguous: bool
    hold_reason: str


class AttemptOut(Schema):
    id: int
    at: datetime
    result: str
    reply_class: str = Field(alias="class")
    code: int | None
    enhanced: str
    text: str
    rule: str
    rule_url: str
    stage: str
    host: str
    address: str
    source: str
    tls: str
    took_ms: int | None
    is_ambiguous: bool
    transcript: str | None


class DeliveryWithAttempts(DeliveryOut):
    route: str | None = Field(description="The route that was chosen for it alone; null: its domain's way.")
    attempts: list[AttemptOut]


class DeliveriesOut(Schema):
    """Where `count_is_exact` is false there are at least `count`, and about `count_estimate`, if a sample
    could tell. `is_cut`: the time was up before the page was full, at `searched_to`; `next` goes on."""

    items: list[DeliveryOut]
    next: str | None
    count: int
    count_is_exact: bool
    count_estimate: int | None
    is_cut: bool
    searched_to: datetime | None


@router.get(
    "/deliveries",
    auth=Needs("read"),
    response={200: DeliveriesOut, (400, 401, 403, 422, 503): Error},
    by_alias=True,
)
def deliveries(request: HttpRequest, asked: Query[DeliveriesIn]) -> dict[str, Any]:
    """Deliveries that the search selects."""
    page = filters.page_of(asked.dict())
    if page.error:
        raise from_mistake(page.error)
    return {
        "items": [shown(delivery) for delivery in page.items],
        "next": page.next,
        "count": page.count,
        "count_is_exact": page.count_is_exact,
        "count_estimate": page.about,
        "is_cut": page.is_cut,
        "searched_to": page.searched_to,
    }


@router.get(
    "/deliveries/{delivery_id}",
    auth=Needs("read"),
    response={200: DeliveryWithAttempts, (401, 403, 404, 503): Error},
    by_alias=True,
)
def delivery(request: HttpRequest, delivery_id: int) -> dict[str, Any]:
    """One delivery with its attempts, oldest first; the last 50 with what was said, where that is kept."""
    rows = Delivery.objects.select_related("message", "domain", "route")
    row = rows.filter(pk=delivery_id).first() if 0 < delivery_id <= _LARGEST_ID else None
    if row is None:
        raise not_found("delivery", delivery_id)
    attempts = list(Attempt.objects.filter(delivery_id=row.pk).order_by("-id")[:_MOST_ATTEMPTS])
    latest = AttemptTranscript.objects.filter(pk__in=[each.pk for each in attempts[:_MOST_TRANSCRIPTS]])
    said = dict(latest.values_list("pk", "text"))
    route = _way(row)
    return {**shown(row), "route": route, "attempts": [_attempt(each, said) for each in reversed(attempts)]}


def _way(row: Delivery) -> str | None:
    if row.route_id is None:
        return None
    return str(row.route) if row.route else f"{row.route_id} (gone)"


def from_mistake(mistake: filters.Mistake) -> ApiError:
    if mistake.field != "q":
        return ApiError(422, "invalid", mistake.text, mistake.field)
    return bad_query(mistake.text, mistake)


def shown(row: Delivery) -> dict[str, Any]:
    """A delivery as the API tells it; `message` and `domain` should be joined in."""
    return {
        "id": row.pk,
        "message_id": row.message_id,
        "to": row.recipient,
        "domain": row.domain.name,
        "state": row.state,
        "priority": row.priority,
        "from": row.message.sender,
        "subject": row.message.subject,
        "size": row.message.size,
        "accepted_at": row.accepted_at,
        "next_attempt_at": row.next_attempt_at,
        "expires_at": row.expires_at,
        "finished_at": row.finished_at,
        "n_attempts": row.n_attempts,
        "last_attempt_at": row.last_attempt_at,
        "class": row.last_class,
        "code": row.last_code,
        "enhanced": row.last_enhanced,
        "reply": row.last_text,
        "host": row.last_host,
        "is_ambiguous": row.is_ambiguous,
        "hold_reason": row.hold_reason,
    }


def _attempt(row: Attempt, said: dict[int, str]) -> dict[str, Any]:
    names = (
        "at", "result", "code", "enhanced", "text", "rule", "stage", "host", "address", "source", "tls",
        "took_ms", "is_ambiguous",
    )  # fmt: skip
    facts = {name: getattr(row, name) for name in names}
    facts["rule_url"] = url_of(row.rule)
    return {"id": row.pk, "class": row.reply_class, **facts, "transcript": said.get(row.pk)}
