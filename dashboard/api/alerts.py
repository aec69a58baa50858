"""Alerts, silences and tests of the ways they are told by (access/alerts.py and alert_trials.py act)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from dashboard.api.errors import Error, not_found
from dashboard.api.keys import Asks, Needs, actor
from dashboard.api.sites import Strict
from queueapp.access import alert_rows, alert_trials
from queueapp.access import alerts as access
from queueapp.access.change import known
from queueapp.models import Alert, Notice, Silence

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


class NoticeOut(Schema):
    """One thing said to one recipient; `talk` is the conversation of the last try, without secrets."""

    id: int
    kind: str
    channel: str
    to: str
    subject: str
    state: str
    made_at: datetime
    sent_at: datetime | None
    n_tries: int
    via: str
    error: str
    talk: str


class AlertGroupOut(Schema):
    id: int
    title: str
    n_most: int


class AlertInFull(AlertOut):
    """`group`: what it is told with."""

    group: AlertGroupOut | None
    notices: list[NoticeOut]


class TestIn(Strict):
    """`to`: an address, or a webhook as `alerts/rules` names it; left out, the first of the settings."""

    channel: str = Field("email", description="email, webhook, slack or ping")
    to: str = Field("", max_length=500)


@router.get("/alerts", auth=Needs("read"), response={200: AlertsOut, **_READ})
def alerts(request: HttpRequest, asked: Query[AlertsIn]) -> dict[str, Any]:
    """What fires or is acknowledged, the worst first; with `over` what was."""
    rows = Alert.objects.over() if asked.over else Alert.objects.open()
    return {"items": list(rows[: asked.limit]), "count": rows.count()}


@router.post("/alerts/test", auth=Asks("admin"), response={200: NoticeOut, **_REFUSALS})
def test_alerts(request: HttpRequest, asked: TestIn) -> Notice:
    """Send a test now; `state` says whether it was taken, `talk` what was said."""
    return alert_trials.send(actor(request), asked.channel, asked.to)


@router.get("/alerts/{alert_id}", auth=Needs("read"), response={200: AlertInFull, **_REFUSALS})
def one_alert(request: HttpRequest, alert_id: int) -> dict[str, Any]:
    """One with its group, and what was said of it to whom."""
    row = Alert.objects.select_related("group").filter(pk=known(alert_id)).first()
    if row is None:
        raise not_found("alert", alert_id)
    return alert_rows.alert_in_full(row)


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
