"""`GET /api/v1/diagnosis`: why mail waits, with the proof and the remedy of each cause."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import Field

from dashboard.api.errors import ApiError, Error, not_found
from dashboard.api.keys import Needs
from dashboard.snapshot import forecast, why

router = Router(tags=["queue"])
MOST = 100


class DiagnosisIn(Schema):
    scope: Literal["all", "site", "domain", "sender", "campaign"] = "all"
    key: str | None = Field(
        None,
        max_length=512,
        description="A domain, sender or campaign; a site's number. Left out: the fullest of that kind.",
    )


class ExampleOut(Schema):
    id: int
    message_id: int
    recipient: str
    text: str


class ReplyOut(Schema):
    """Replies that say the same: what varies is taken out. `q` is a search that opens their deliveries."""

    text: str
    reply_class: str = Field(alias="class")
    n: int
    first_at: datetime | None
    last_at: datetime | None
    hosts: list[str]
    q: str
    examples: list[ExampleOut]


class RecordOut(Schema):
    """A DNS record of ours. `wrong` is empty where it is right."""

    what: str
    name: str
    found: str
    wrong: str
    should: str


class ActOut(Schema):
    verb: str
    label: str
    url: str = Field(description="A page of the dashboard.")
    needs: str


class CauseOut(Schema):
    cause: str
    title: str
    level: str
    n: int = Field(description="Deliveries that it holds now.")
    n_failed: int = Field(description="Deliveries that it bounced in the last hour.")
    is_estimate: bool
    share: float
    since: datetime
    sentence: str


class WholeCauseOut(CauseOut):
    seen_at: datetime
    remedy: str
    lines: list[tuple[str, str]]
    records: list[RecordOut]
    replies: list[ReplyOut]
    actions: list[ActOut]


class ScopeOut(CauseOut):
    key: str
    name: str


class ScopeForecastOut(Schema):
    trend: str = Field(description="empty, drains, grows, steady or still")
    n: int
    per_minute: float
    in_s: float | None
    text: str


class DiagnosisOut(Schema):
    looked_at: datetime | None = Field(description="null: nobody has looked yet.")
    is_stale: bool = Field(description="The last look is older than a minute: the watch stands still.")
    scope: str
    key: str
    above: list[CauseOut] = Field(description="What holds everything, in whichever scope.")
    causes: list[WholeCauseOut]
    scopes: list[ScopeOut] = Field(description="Without `key`: the first cause of each scope of that kind.")
    forecast: ScopeForecastOut | None


@router.get(
    "/diagnosis",
    auth=Needs("read"),
    response={200: DiagnosisOut, (401, 403, 404, 422, 503): Error},
    by_alias=True,
)
def diagnosis(request: HttpRequest, asked: Query[DiagnosisIn]) -> dict[str, Any]:
    """The causes in order of how many deliveries each holds; what stops everything comes first."""
    now = timezone.now()
    if asked.scope != "all" and asked.key is None:
        found = why.overview(now)
        rows = why.scopes(asked.scope, MOST)
        return {**_empty(asked.scope, found), "scopes": rows}
    if asked.scope == "all" and asked.key:
        raise ApiError(422, "invalid", "The scope `all` has no key.", "key")
    key = asked.key or ""
    found = why.of_scope(asked.scope, key, now)
    if not found["is_known"]:
        raise not_found(asked.scope, key)
    causes = [{**each, "actions": each["acts"]} for each in found["causes"]]
    return {
        **_empty(asked.scope, found),
        "key": key,
        "above": found["above"],
        "causes": causes,
        "forecast": forecast.of_scope(asked.scope, key, now),
    }


def _empty(scope: str, found: dict[str, Any]) -> dict[str, Any]:
    head = {name: found[name] for name in ("looked_at", "is_stale")}
    return {**head, "scope": scope, "key": "", "above": [], "causes": [], "scopes": [], "forecast": None}
