"""`GET /export`: what a search selects, as a file that is written while it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Literal

from asgiref.sync import sync_to_async
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import Field

from dashboard.api.errors import ApiError, Error
from dashboard.api.keys import Asks, actor
from queueapp.access.change import allow, audited
from queueapp.operations import actions
from queueapp.operations.export import FORMATS, TooMany

router = Router(tags=["queue"])
_ENDINGS = {"csv": "csv", "jsonl": "jsonl", "eml": "zip"}


class ExportIn(Schema):
    q: str = Field("", description="The search grammar.")
    format: Literal["csv", "jsonl", "eml"] = Field(
        "csv", description="A table, a JSON object a line, or the mails themselves in a zip."
    )


@router.get("/export", auth=Asks("export"), response={200: None, (400, 401, 403, 422, 503): Error})
def export(request: HttpRequest, asked: Query[ExportIn]) -> StreamingHttpResponse:
    """All that the search selects, newest first. What comes in meanwhile is left out."""
    who, now = actor(request), timezone.now()
    asked_for = f"{asked.format} {asked.q}"
    if asked.format == "eml":
        allow(who, "bodies", "export", asked_for)
    with audited(who, "export", "export", asked_for) as detail:
        rows = actions.chosen(asked.q, None, actions.seen_now(now), now)
        kind, write = FORMATS[asked.format]
        try:
            parts = write(rows)
        except TooMany as error:
            raise ApiError(422, "too_many_mails", str(error), "format") from None
        detail |= {"q": asked.q, "format": asked.format, "n": 0}
    response = StreamingHttpResponse(_in_turn(parts), content_type=kind)
    name = f"deliveries-{now:%Y%m%d-%H%M%S}.{_ENDINGS[asked.format]}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


async def _in_turn(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Part after part as the reader takes them: Django would gather a plain iterator in memory."""
    while (part := await sync_to_async(lambda: next(parts, None))()) is not None:
        if part:
            yield part
