"""Rules of back-off: read, write, switch, remove, and try before they count (access/rules.py acts)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from dashboard.api.errors import Error
from dashboard.api.keys import Asks, Needs, actor
from dashboard.api.sites import Strict
from queueapp.access import rule_trial
from queueapp.access import rules as access
from queueapp.models import BackoffRule

router = Router(tags=["rules"])
_REFUSALS = {(401, 403, 404, 409, 422, 503): Error}


class BackoffRuleIn(Strict):
    """What is left out is as a new rule has it, or, in a PATCH, as it was. Times in seconds."""

    name: str | None = None
    about: str | None = None
    position: int | None = Field(None, description="Lower is asked first; the first that matches decides.")
    is_enabled: bool | None = None
    condition: str | None = Field(None, description="reply, flood or listing.")
    classes: list[str] | None = None
    texts: list[str] | None = Field(None, description="Words in small letters; * is anything.")
    codes: list[str] | None = Field(None, description="Such as 4, 421, or 421 4.7.28.")
    lines: list[str] | None = Field(None, description="Lines of the classifier that decided.")
    sites: list[str] | None = Field(None, description="Ends of names of sites.")
    n_hits: int | None = Field(None, description="So many; 1: at once.")
    per: float | None = Field(None, description="Within so many seconds.")
    factor: float | None = Field(None, description="Flood: times the sender's usual.")
    scope: str | None = Field(None, description="pair, site, domain, sender, campaign or login.")
    action: str | None = Field(None, description="slow, suspend, other_source, hold_campaign, stop_sender.")
    rate: str | None = None
    share: int | None = None
    lasts: float | None = Field(None, description="null: until it is lifted.")
    growth: float | None = None
    cap: float | None = None


class BackoffRuleOut(Schema):
    id: int
    key: str | None
    is_shipped: bool
    name: str
    about: str
    position: int
    is_enabled: bool
    condition: str
    classes: list[str]
    texts: list[str]
    codes: list[str]
    lines: list[str]
    sites: list[str]
    n_hits: int
    per: float
    factor: float
    scope: str
    action: str
    rate: str
    share: int | None
    lasts: float | None
    growth: float
    cap: float
    made_by: str
    changed_at: datetime


class OnOut(Schema):
    label: str
    n_matched: int
    n_times: int
    seconds: float
    first: datetime | None
    last: datetime | None


class MatchOut(Schema):
    at: datetime
    key: str
    label: str
    reply: str
    recipient: str


class RuleTrialOut(Schema):
    """`is_whole` false: what is before `since` was not looked at, for there was too much. A rule about
    replies looks at refusals and matches replies; one about floods looks at messages and matches deliveries
    that it would have held."""

    condition: str
    since: datetime
    is_whole: bool
    n_looked: int
    n_matched: int
    n_times: int
    n_targets: int
    targets: list[OnOut]
    examples: list[MatchOut]
    took_s: float


@router.get(
    "/backoff-rules", auth=Needs("read"), response={200: list[BackoffRuleOut], (401, 403, 503): Error}
)
def rules(request: HttpRequest) -> list[dict[str, Any]]:
    """In the order in which they are asked."""
    return [_out(row) for row in access.listed()]


@router.post("/backoff-rules", auth=Asks("admin"), response={201: BackoffRuleOut, **_REFUSALS})
def create_rule(request: HttpRequest, asked: BackoffRuleIn) -> Status[dict[str, Any]]:
    """A rule of one's own. It counts within seconds, unless `is_enabled` is false."""
    return Status(201, _out(access.create(actor(request), _values(asked))))


@router.post("/backoff-rules/try", auth=Asks("admin"), response={200: RuleTrialOut, **_REFUSALS})
def try_rule(request: HttpRequest, asked: BackoffRuleIn) -> dict[str, Any]:
    """What such a rule would have done over the last day. Nothing is changed."""
    made = asdict(rule_trial.tried(actor(request), _values(asked)))
    return {**made, "examples": [each._asdict() for each in made["examples"]]}


@router.get("/backoff-rules/{rule_id}", auth=Needs("read"), response={200: BackoffRuleOut, **_REFUSALS})
def rule(request: HttpRequest, rule_id: int) -> dict[str, Any]:
    """One rule."""
    return _out(access.named(rule_id))


@router.patch("/backoff-rules/{rule_id}", auth=Asks("admin"), response={200: BackoffRuleOut, **_REFUSALS})
def change_rule(request: HttpRequest, rule_id: int, asked: BackoffRuleIn) -> dict[str, Any]:
    """Of a rule that is shipped `is_enabled` and `position` alone can be changed."""
    return _out(access.update(actor(request), rule_id, _values(asked)))


@router.delete("/backoff-rules/{rule_id}", auth=Asks("admin"), response={204: None, **_REFUSALS})
def delete_rule(request: HttpRequest, rule_id: int) -> Status[None]:
    """A rule of one's own. Effects that hold go on to their end."""
    access.delete(actor(request), rule_id)
    return Status(204, None)


def _values(asked: BackoffRuleIn) -> dict[str, Any]:
    """What was given."""
    return asked.model_dump(exclude_unset=True)


def _out(row: BackoffRule) -> dict[str, Any]:
    return {
        "id": row.pk, "key": row.key, "is_shipped": row.is_shipped, "made_by": row.made_by,
        "changed_at": row.changed_at, **access.plain(row),
    }  # fmt: skip
