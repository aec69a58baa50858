"""What a search selects, to take along: a table, JSON lines, or the mails themselves.

Promises: constant memory, since rows are read by the thousand and mails one by one; what came after it
began is left out; a table opens without formulas (access/table.py). A mail to many is there once, as it was
submitted.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from queueapp.access.table import written
from queueapp.models import Body, Delivery
from queueapp.models.delivery import DeliveryQuerySet

_ROWS = 1000
# The list of what is in a zip is written at its end, and kept until then.
MOST_MAILS = 10_000
COLUMNS = (
    "id", "message_id", "state", "from", "to", "subject", "size", "priority", "accepted_at",
    "next_attempt_at", "expires_at", "finished_at", "n_attempts", "last_attempt_at", "class", "code",
    "enhanced", "reply", "host", "is_ambiguous", "hold_reason",
)  # fmt: skip


class TooMany(ValueError):
    """More mails than one zip takes."""


def rows_of(rows: DeliveryQuerySet) -> Iterator[list[Delivery]]:
    """Newest first, with their messages, some at a time."""
    last: int | None = None
    while True:
        sought = rows if last is None else rows.filter(pk__lt=last)
        some = list(sought.select_related("message").order_by("-id")[:_ROWS])
        if some:
            yield some
        if len(some) < _ROWS:
            return
        last = some[-1].pk


def as_csv(rows: DeliveryQuerySet) -> Iterator[bytes]:
    yield written([COLUMNS]).encode()
    for some in rows_of(rows):
        yield written(fields(row).values() for row in some).encode()


def as_jsonl(rows: DeliveryQuerySet) -> Iterator[bytes]:
    for some in rows_of(rows):
        yield "".join(json.dumps(fields(row), ensure_ascii=False) + "\n" for row in some).encode()


def as_zip(rows: DeliveryQuerySet) -> Iterator[bytes]:
    """Mails as they were submitted, named by their number. Raises TooMany before the first octet."""
    messages = rows.order_by("message_id").values_list("message_id", flat=True).distinct()
    ids = list(messages[: MOST_MAILS + 1])
    if len(ids) > MOST_MAILS:
        raise TooMany(f"More than {MOST_MAILS:,} mails: narrow the search, or take a table of them.")
    return _zip(ids)


def _zip(ids: list[int]) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for pk in ids:
            body = Body.objects.filter(pk=pk).select_related("message").first()
            if body is None:
                continue
            at = max(body.message.accepted_at.timetuple()[:6], (1980, 1, 1, 0, 0, 0))
            info = zipfile.ZipInfo(f"{pk}.eml", date_time=at)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, bytes(body.content))
            yield sink.taken()
    yield sink.taken()


def fields(row: Delivery) -> dict[str, Any]:
    """One row, in the order of COLUMNS; times in ISO 8601, UTC."""
    message = row.message
    values = (
        row.pk, row.message_id, row.state, message.sender, row.recipient, message.subject, message.size,
        row.priority, row.accepted_at, row.next_attempt_at, row.expires_at, row.finished_at, row.n_attempts,
        row.last_attempt_at, row.last_class, row.last_code, row.last_enhanced, row.last_text, row.last_host,
        row.is_ambiguous, row.hold_reason,
    )  # fmt: skip
    return {name: _plain(value) for name, value in zip(COLUMNS, values, strict=True)}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


class _Sink(io.RawIOBase):
    """What zipfile writes, until it is taken; it can't go back in it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._n = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._n += len(data)
        return len(data)

    def tell(self) -> int:
        return self._n

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


FORMATS: dict[str, tuple[str, Callable[[DeliveryQuerySet], Iterator[bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", as_csv),
    "jsonl": ("application/x-ndjson", as_jsonl),
    "eml": ("application/zip", as_zip),
}
