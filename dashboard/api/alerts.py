"""Alerts, silences and the rules of alerts (access/alerts.py and access/alert_rules.py act)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from dashboard.api.errors import Error
from dashboard.api.keys import Asks, Needs, actor
from dashboard.api.sites import Strict
from queueapp.access import alert_rules
from queueapp.access import alerts as access
from queueapp.models import Alert, AlertRule, Silence

router = Router(tags=["alerts"])
_READ = {(401, 403, 422, 503): Error}
_REFUSALS = {(401, 403, 404, 409, 422, 503): Error}


class AlertsIn(Schema):
    over: bool = Field(False, description="Those that are over, the last first, instead of those that hold.")
    limit: int = Field(100, ge=1, le=500)


class AlertOut(Schema):
    """`cause` is what it is told by; `muted_by` says why nobody is told of it."""

    id: int
    rule_name: str
    condition: str
    severity: str
    state: str
    scope: str
    key: str
    label: str
    title: str
    cause: str
    value: float | None
    threshold: float | None
    unit: str
    detail: dict[str, Any]
    since: datetime
    fired_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    note: str
    resolved_at: datetime | None
    muted_by: str


class AlertsOut(Schema):
    items: list[AlertOut]
    count: int


class AckIn(Strict):
    note: str = Field("", max_length=500)


class SilenceIn(Strict):
    """All that is given must match; without any matcher it covers everything."""

    reason: str
    until: datetime
    rule: int | None = None
    severity: str = ""
    scope: str = ""
    only: str = Field("", max_length=560)


class SilenceOut(Schema):
    id: int
    rule_id: int | None
    severity: str
    scope: str
    only: str
    reason: str
    since: datetime
    until: datetime
    made_by: str
    lifted_at: datetime | None
    lifted_by: str


class AlertRuleOut(Schema):
    """Times in seconds; `threshold` in the condition's unit."""

    id: int
    name: str
    about: str
    condition: str
    is_enabled: bool
    is_shipped: bool
    severity: str
    threshold: float | None
    scope: str
    only: str
    holds_for: float
    clear_for: float
    remind_every: float | None
    recipients: list[str]


class AlertRuleChange(Strict):
    """What is not given stays. Times in seconds."""

    name: str | None = None
    is_enabled: bool | None = None
    severity: str | None = None
    threshold: float | None = None
    only: str | None = None
    holds_for: float | None = Field(None, ge=0, le=604_800)
    clear_for: float | None = Field(None, ge=0, le=604_800)
    remind_every: float | None = Field(None, ge=0, le=604_800)
    recipients: list[str] | None = None


@router.get("/alerts", auth=Needs("read"), response={200: AlertsOut, **_READ})
def alerts(request: HttpRequest, asked: Query[AlertsIn]) -> dict[str, Any]:
    """What fires or is acknowledged, the worst first; with `over` what was."""
    rows = Alert.objects.over() if asked.over else Alert.objects.open()
    return {"items": list(rows[: asked.limit]), "count": rows.count()}


@router.post("/alerts/{alert_id}/ack", auth=Asks("operate"), response={200: AlertOut, **_REFUSALS})
def acknowledge_alert(request: HttpRequest, alert_id: int, asked: AckIn) -> Alert:
    """Somebody looks after it: its reminders stop."""
    return access.acknowledge(actor(request), alert_id, asked.note)


@router.get("/silences", auth=Needs("read"), response={200: list[SilenceOut], **_READ})
def silences(request: HttpRequest) -> list[Silence]:
    """The last 500, those that end last first."""
    return list(Silence.objects.order_by("-until", "-pk")[:500])


@router.post("/silences", auth=Asks("operate"), response={201: SilenceOut, **_REFUSALS})
def create_silence(request: HttpRequest, asked: SilenceIn) -> Status[Silence]:
    """Nobody is told of what it covers, until then."""
    return Status(201, access.silence(actor(request), **asked.dict()))


@router.delete("/silences/{silence_id}", auth=Asks("operate"), response={204: None, **_REFUSALS})
def lift_silence(request: HttpRequest, silence_id: int) -> Status[None]:
    """What holds and was not told of is told now."""
    access.lift(actor(request), silence_id)
    return Status(204, None)


@router.get("/alert-rules", auth=Needs("read"), response={200: list[AlertRuleOut], **_READ})
def rules(request: HttpRequest) -> list[dict[str, Any]]:
    """All rules of alerts, those that come with Mailweir first."""
    return [_rule(row) for row in AlertRule.objects.all()[:500]]


@router.patch("/alert-rules/{rule_id}", auth=Asks("admin"), response={200: AlertRuleOut, **_REFUSALS})
def change_alert_rule(request: HttpRequest, rule_id: int, asked: AlertRuleChange) -> dict[str, Any]:
    """A shipped rule can be switched off and set anew."""
    given = asked.dict(exclude_unset=True)
    for name in ("holds_for", "clear_for", "remind_every"):
        if given.get(name) is not None:
            given[name] = timedelta(seconds=given[name])
    return _rule(alert_rules.change(actor(request), rule_id, **given))


def _rule(row: AlertRule) -> dict[str, Any]:
    found = {name: getattr(row, name) for name in AlertRuleOut.model_fields if hasattr(row, name)}
    times = {
        name: span.total_seconds() if (span := found[name]) is not None else None
        for name in ("holds_for", "clear_for", "remind_every")
    }
    return {**found, "id": row.pk, **times}
