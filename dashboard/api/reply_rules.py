"""Lines of the administrator's own, which say what replies mean (access/reply_rules.py acts)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from dashboard.api.errors import Error, not_found
from dashboard.api.keys import Asks, Needs, actor
from dashboard.api.sites import Strict
from dashboard.snapshot import replies
from queueapp.access import reply_rules as access
from queueapp.access.reply_rules import Asked
from queueapp.models import ReplyRule, ReplyTrial

router = Router(tags=["replies"])
_REFUSALS = {(401, 403, 404, 409, 422, 503): Error}


class ReplyLineIn(Strict):
    name: str = Field(max_length=100)
    reply_class: str = Field(alias="class", max_length=40)
    texts: list[str] = []
    codes: list[str] = []
    stage: str = ""
    delay: int | None = None
    provider: str = ""
    site: str = Field("", max_length=255)
    note: str = ""
    position: int = 100


class ReplyRuleIn(ReplyLineIn):
    is_on: bool = False


class ReplyRuleChange(Strict):
    name: str | None = None
    reply_class: str | None = Field(None, alias="class", max_length=40)
    texts: list[str] | None = None
    codes: list[str] | None = None
    stage: str | None = None
    delay: int | None = None
    provider: str | None = None
    site: str | None = Field(None, max_length=255)
    note: str | None = None
    position: int | None = None
    is_on: bool | None = None


class ReplyRuleOut(Schema):
    id: int
    name: str
    rule: str
    reply_class: str = Field(alias="class")
    texts: list[str]
    codes: list[str]
    stage: str
    delay: int | None
    provider: str
    site: str
    note: str
    position: int
    is_on: bool
    n_day: int
    made_by: str
    made_at: datetime
    changed_at: datetime


class ReplyChangeOut(Schema):
    had: str
    gets: str
    n: int


class ReplyExampleOut(ReplyChangeOut):
    reply: str
    host: str
    delivery: int


class ReplyTrialOut(Schema):
    id: int
    state: Literal["running", "done"]
    line: dict[str, Any]
    since: datetime
    reached_at: datetime | None
    n_looked: int
    n_decided: int
    changes: list[ReplyChangeOut]
    examples: list[ReplyExampleOut]
    asked_at: datetime
    ended_at: datetime | None


@router.get(
    "/reply-rules",
    auth=Needs("read"),
    response={200: list[ReplyRuleOut], (401, 403, 503): Error},
    by_alias=True,
)
def rules(request: HttpRequest) -> list[dict[str, Any]]:
    """Lines of your own, in the order in which they are asked; `n_day` is what each decided in 24 hours."""
    n_day = _n_day()
    return [_rule(row, n_day) for row in ReplyRule.objects.order_by("position", "name")]


@router.post("/reply-rules", auth=Asks("admin"), response={201: ReplyRuleOut, **_REFUSALS}, by_alias=True)
def create_rule(request: HttpRequest, asked: ReplyRuleIn) -> Status[dict[str, Any]]:
    """Off, unless `is_on` asks otherwise and exactly this line was tried (409 where it was not)."""
    made = access.create(actor(request), _asked(asked), is_on=asked.is_on)
    return Status(201, _rule(made, {}))


@router.post("/reply-rules/trial", auth=Asks("admin"), response={202: ReplyTrialOut, **_REFUSALS})
def try_rule(request: HttpRequest, asked: ReplyLineIn) -> Status[dict[str, Any]]:
    """What a line would have decided in the last 24 hours. Many attempts are looked at in the background."""
    return Status(202, _trial(access.attempt(actor(request), _asked(asked))))


@router.get("/reply-rules/trials/{trial_id}", auth=Needs("read"), response={200: ReplyTrialOut, **_REFUSALS})
def trial(request: HttpRequest, trial_id: int) -> dict[str, Any]:
    """How far it is; `examples` are grouped, the largest groups first."""
    row = ReplyTrial.objects.filter(pk=trial_id).first() if 0 < trial_id < 2**63 else None
    if row is None:
        raise not_found("trial", trial_id)
    return _trial(row)


@router.patch(
    "/reply-rules/{rule_id}", auth=Asks("admin"), response={200: ReplyRuleOut, **_REFUSALS}, by_alias=True
)
def change_rule(request: HttpRequest, rule_id: int, asked: ReplyRuleChange) -> dict[str, Any]:
    """Only what is given changes. A line that decides otherwise than it was tried is switched off."""
    given = asked.model_dump(exclude_unset=True)
    is_on = given.pop("is_on", None)
    if not given and is_on is not None:
        return _rule(access.switch(actor(request), rule_id, is_on=is_on), _n_day())
    row = ReplyRule.objects.filter(pk=rule_id).first() if 0 < rule_id < 2**63 else None
    before = access.asked_of(row) if row else Asked("", "")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None or name == "delay"
    }
    return _rule(access.edit(actor(request), rule_id, replace(before, **values), is_on=is_on), _n_day())


@router.delete("/reply-rules/{rule_id}", auth=Asks("admin"), response={204: None, **_REFUSALS})
def delete_rule(request: HttpRequest, rule_id: int) -> Status[None]:
    """What it decided stays decided."""
    access.delete(actor(request), rule_id)
    return Status(204, None)


def _n_day() -> dict[str, int]:
    return {each.rule: each.n_day for each in replies.entries() if each.row}


def _asked(asked: ReplyLineIn) -> Asked:
    values = asked.model_dump(exclude={"is_on"})
    return Asked(**{**values, "texts": tuple(asked.texts), "codes": tuple(asked.codes)})


def _rule(row: ReplyRule, n_day: dict[str, int]) -> dict[str, Any]:
    names = (
        "name", "texts", "codes", "stage", "delay", "provider", "site", "note", "position", "is_on",
        "made_by", "made_at", "changed_at",
    )  # fmt: skip
    rule = row.line.rule
    facts = {name: getattr(row, name) for name in names}
    return {"id": row.pk, "rule": rule, "class": row.reply_class, "n_day": n_day.get(rule, 0), **facts}


def _trial(row: ReplyTrial) -> dict[str, Any]:
    line = {"class" if name == "reply_class" else name: value for name, value in row.line.items()}
    return {
        "id": row.pk, "state": "done" if row.is_done else "running", "line": line, "since": row.since,
        "reached_at": row.reached_at, "n_looked": row.n_looked, "n_decided": row.n_decided,
        "changes": [{"had": had, "gets": gets, "n": n} for had, gets, n in row.changes],
        "examples": [
            {"had": each["key"][0], "gets": each["key"][1], "n": each["n"], "host": each["host"],
             "delivery": each["delivery"],
             "reply": " ".join(part for part in (*each["key"][2:4], each["text"]) if part)}
            for each in row.groups
        ],
        "asked_at": row.asked_at, "ended_at": row.ended_at,
    }  # fmt: skip
