"""Rules of alerts (access/alert_rules.py acts): read, made, changed, removed, and tried before they count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from dashboard.api.errors import Error, bad_query
from dashboard.api.keys import Asks, Needs, actor
from dashboard.api.sites import Strict
from queueapp.access import alert_rows, alert_rule_trial
from queueapp.access import alert_rules as access
from queueapp.grammar import GrammarError
from queueapp.models import AlertRule

router = Router(tags=["alerts"])
_REFUSALS = {(400, 401, 403, 404, 409, 422, 503): Error}
_SPANS = ("holds_for", "clear_for", "remind_every")


class AlertRuleOut(Schema):
    """Times in seconds; `threshold` in the condition's unit. `query`: of a rule that counts what a search
    selects. `blind_since`: the watch can't tell since then whether it holds."""

    id: int
    name: str
    about: str
    condition: str
    query: str
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
    blind_since: datetime | None


class AlertRuleChange(Strict):
    """What is not given stays. Times in seconds."""

    name: str | None = None
    about: str | None = Field(None, max_length=500)
    query: str | None = Field(None, max_length=2000)
    is_enabled: bool | None = None
    severity: str | None = None
    threshold: float | None = None
    scope: str | None = None
    only: str | None = None
    holds_for: float | None = Field(None, ge=0, le=604_800)
    clear_for: float | None = Field(None, ge=0, le=604_800)
    remind_every: float | None = Field(None, ge=0, le=604_800)
    recipients: list[str] | None = None


class AlertRuleIn(AlertRuleChange):
    name: str
    condition: str


class Trial(Strict):
    condition: str
    query: str = Field("", max_length=2000)
    threshold: float | None = None
    scope: str | None = None
    only: str = Field("", max_length=560)


class Thing(Schema):
    key: str
    label: str
    title: str
    value: float | None


class TriedOut(Schema):
    """`holds` null: nobody knows, `why` says why. Of a search: `n` deliveries match, or more than that
    (`is_cut`). Else `things` are the first of `n_things` that it would hold on."""

    holds: bool | None
    n: int | None
    is_cut: bool
    n_things: int
    things: list[Thing]
    why: str


@router.get("/alert-rules", auth=Needs("read"), response={200: list[AlertRuleOut], **_REFUSALS})
def rules(request: HttpRequest) -> list[dict[str, Any]]:
    """All rules of alerts, those that come with Mailweir first."""
    return [alert_rows.rule(row) for row in AlertRule.objects.all()[:500]]


@router.post("/alert-rules", auth=Asks("admin"), response={201: AlertRuleOut, **_REFUSALS})
def create_alert_rule(request: HttpRequest, asked: AlertRuleIn) -> Status[dict[str, Any]]:
    """One of your own. With the condition `search` it counts what `query` selects."""
    with _mistakes():
        return Status(201, alert_rows.rule(access.add(actor(request), **_given(asked))))


@router.post("/alert-rules/try", auth=Asks("admin"), response={200: TriedOut, **_REFUSALS})
def try_alert_rule(request: HttpRequest, asked: Trial) -> alert_rule_trial.Tried:
    """What such a rule would see now. It tells nobody."""
    with _mistakes():
        return alert_rule_trial.tried(actor(request), _given(asked))


@router.patch("/alert-rules/{rule_id}", auth=Asks("admin"), response={200: AlertRuleOut, **_REFUSALS})
def change_alert_rule(request: HttpRequest, rule_id: int, asked: AlertRuleChange) -> dict[str, Any]:
    """A shipped rule can be switched off and set anew."""
    with _mistakes():
        return alert_rows.rule(access.change(actor(request), rule_id, **_given(asked)))


@router.delete("/alert-rules/{rule_id}", auth=Asks("admin"), response={204: None, **_REFUSALS})
def remove_alert_rule(request: HttpRequest, rule_id: int) -> Status[None]:
    """One of your own. What it raised is over at the watch's next look."""
    access.remove(actor(request), rule_id)
    return Status(204, None)


@contextmanager
def _mistakes() -> Iterator[None]:
    """Of the search, by the name that it has here."""
    try:
        yield
    except GrammarError as error:
        raise bad_query(str(error), error, "query") from None


def _given(asked: Strict) -> dict[str, Any]:
    """Null is a value of a limit and of a reminder; of anything else it is as if it were not there."""
    given = asked.dict(exclude_unset=True)
    found = {k: v for k, v in given.items() if v is not None or k in ("threshold", "remind_every")}
    for name in _SPANS:
        if found.get(name) is not None:
            found[name] = timedelta(seconds=found[name])
    return found
