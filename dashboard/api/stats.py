"""`GET /api/v1/stats`: series for charts, from the minute rollups."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

import pydantic
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema

from dashboard.api.errors import ApiError, Error, not_found
from dashboard.api.keys import Needs
from queueapp import stats
from queueapp.models import EVERY_DOMAIN, RecipientDomain

router = Router(tags=["queue"])
MOST_POINTS = 5000
_FIRST_YEAR = 2000


class StatsIn(Schema):
    metric: Literal["accepted", "delivered", "deferred", "bounced", "expired"]
    domain: str = pydantic.Field("", max_length=255, description="All domains where it is left out.")
    from_: pydantic.AwareDatetime | None = pydantic.Field(
        None, alias="from", description="Default: an hour ago."
    )
    to: pydantic.AwareDatetime | None = pydantic.Field(None, description="Default: now.")
    step: int = pydantic.Field(60, ge=60, le=7 * 86400, description="Seconds.")


class Point(Schema):
    at: datetime
    n: int


class StatsOut(Schema):
    metric: str
    domain: str
    step: int
    points: list[Point]


@router.get("/stats", auth=Needs("read"), response={200: StatsOut, (401, 403, 404, 422, 503): Error})
def series(request: HttpRequest, asked: Query[StatsIn]) -> dict[str, Any]:
    """How many in each step, oldest first; steps without mail are 0."""
    end = asked.to or timezone.now()
    start = asked.from_ or end - timedelta(hours=1)
    if start.year < _FIRST_YEAR:
        raise ApiError(422, "invalid", f"`from` is before {_FIRST_YEAR}.", "from")
    if start > end:
        raise ApiError(422, "invalid", "`from` is later than `to`.", "from")
    n_points = (end - start).total_seconds() / asked.step
    if n_points > MOST_POINTS:
        raise ApiError(
            422,
            "invalid",
            f"That would be {n_points:.0f} points; {MOST_POINTS} are allowed: larger step.",
            "step",
        )
    points = stats.series(asked.metric, start, end, asked.step, _domain_id(asked.domain))
    return {
        "metric": asked.metric,
        "domain": asked.domain,
        "step": asked.step,
        "points": [{"at": at, "n": n} for at, n in points],
    }


def _domain_id(name: str) -> int:
    if not name:
        return EVERY_DOMAIN
    domain = RecipientDomain.objects.named(name)
    if domain is None:
        raise not_found("recipient domain", name)
    return domain.pk
