"""What a reply means, and all lines of the classifier: shipped, own, and the codes that decided."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from dashboard.api.errors import ApiError, Error
from dashboard.api.keys import Needs
from dashboard.api.sites import Strict
from dashboard.snapshot import replies
from queueapp.mail.patterns import STAGES
from queueapp.mail.reply import ReplyError

router = Router(tags=["replies"])
_MOST_REPLY = 10_000


class LinesIn(Schema):
    q: str = Field("", max_length=100, description="Words that stand anywhere in the line.")
    reply_class: str = Field("", alias="class", max_length=40)
    provider: str = Field("", max_length=40)
    kind: str = Field("", max_length=10, description="own, pattern or code; empty: all.")


class ReplyLineOut(Schema):
    rule: str
    kind: str
    reply_class: str = Field(alias="class")
    permanent: bool | None
    provider: str
    texts: list[str]
    codes: list[str]
    stage: str
    delay: int | None
    example: str
    is_on: bool
    n_day: int
    url: str


class ReplyIn(Strict):
    reply: str = Field(max_length=_MOST_REPLY)
    stage: str = ""
    host: str = Field("", max_length=255)


class ReplyMatchOut(Schema):
    rule: str
    reply_class: str = Field(alias="class")
    provider: str
    url: str


class ReplyMeaningOut(Schema):
    reply_class: str = Field(alias="class")
    permanent: bool
    code: int
    enhanced: str
    rule: str
    rule_url: str
    retry_in: int | None
    fault: str
    sentence: str
    advice: str
    code_class: str
    matches: list[ReplyMatchOut]


@router.get(
    "/reply-lines",
    auth=Needs("read"),
    response={200: list[ReplyLineOut], (401, 403, 422, 503): Error},
    by_alias=True,
)
def lines(request: HttpRequest, asked: Query[LinesIn]) -> list[dict[str, Any]]:
    """Those that decided most in the last 24 hours first; `permanent` null: as the code of the reply says."""
    found = replies.found(replies.entries(), asked.q, asked.reply_class, asked.provider, asked.kind)
    return [
        {
            "rule": each.rule, "kind": each.kind, "class": each.reply_class, "permanent": each.is_permanent,
            "provider": each.provider, "texts": each.texts, "codes": each.codes, "stage": each.stage,
            "delay": each.delay, "example": each.example, "is_on": each.row.is_on if each.row else True,
            "n_day": each.n_day, "url": each.url,
        }
        for each in found
    ]  # fmt: skip


@router.post(
    "/classify",
    auth=Needs("read"),
    response={200: ReplyMeaningOut, (401, 403, 422, 503): Error},
    by_alias=True,
)
def classify(request: HttpRequest, asked: ReplyIn) -> dict[str, Any]:
    """What a reply means, which line says so, and which others match."""
    if asked.stage and asked.stage not in STAGES:
        raise ApiError(
            422, "invalid", f"stage {asked.stage[:40]!r} is not one of {', '.join(STAGES)}.", "stage"
        )
    try:
        reply, found = replies.account(asked.reply, asked.stage, asked.host)
    except ReplyError as error:
        raise ApiError(422, "invalid", f"{error}.", "reply") from None
    info, verdict = replies.CLASSES[found.verdict.reply_class], found.verdict
    return {
        "class": verdict.reply_class, "permanent": verdict.is_permanent, "code": reply.code,
        "enhanced": reply.enhanced, "rule": verdict.rule, "rule_url": replies.url_of(verdict.rule),
        "retry_in": verdict.retry_in, "fault": info.fault, "sentence": info.sentence, "advice": info.advice,
        "code_class": found.code_class,
        "matches": [
            {"rule": line.rule, "class": line.reply_class, "provider": line.provider,
             "url": replies.url_of(line.rule)}
            for line in found.lines
        ],
    }  # fmt: skip
