"""The audit to read: searched, page by page, and as a file. The same for page and API.

Promises: what can't be is a Wrong with its field; a page costs the same however deep it is (the cursor is an
id); a file is made in chunks, so that its length costs no memory. A table opens without formulas
(table.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from queueapp.access.change import Actor, Wrong, allow, audited
from queueapp.access.table import written
from queueapp.models import AuditEvent

MOST = 500
CAP = 10_000
CHUNK = 500
COLUMNS = ("id", "at", "actor", "origin", "action", "target", "n", "result", "q", "reason", "detail")
_FILTERS = ("who", "action", "target", "from", "to", "refused")


@dataclass(frozen=True, slots=True)
class Page:
    items: list[AuditEvent] = field(default_factory=list)
    next: int | None = None
    count: int = 0
    count_is_exact: bool = True


def page(actor: Actor, params: Mapping[str, Any]) -> Page:
    """By `who`, `action`, `target`, `from`, `to`, `refused`, `limit`, `cursor`. Raises Wrong, NotAllowed."""
    allow(actor, "admin", "audit.read", "audit")
    rows = matching(params)
    limit = _whole("limit", params.get("limit") or 100, 1, MOST)
    cursor = _whole("cursor", params.get("cursor") or 0, 0, 2**63 - 1)
    behind = rows.filter(id__lt=cursor) if cursor else rows
    items = list(behind.order_by("-id")[: limit + 1])
    n = rows.order_by()[: CAP + 1].count()
    return Page(items[:limit], items[limit - 1].pk if len(items) > limit else None, min(n, CAP), n <= CAP)


def matching(params: Mapping[str, Any]) -> QuerySet[AuditEvent]:
    """Raises Wrong."""
    rows = AuditEvent.objects.all()
    if who := _text(params, "who"):
        rows = rows.of(who)
    if action := _text(params, "action"):
        rows = rows.doing(action)
    if target := _text(params, "target"):
        rows = rows.about(target)
    if since := _time(params, "from"):
        rows = rows.filter(at__gte=since)
    if until := _time(params, "to", is_end=True):
        rows = rows.filter(at__lt=until)
    refused = _text(params, "refused")
    if refused not in ("", "yes", "no"):
        raise Wrong("refused", f"refused {refused[:40]!r} is neither yes nor no")
    return rows.filter(is_refused=refused == "yes") if refused else rows


def asked(params: Mapping[str, Any]) -> dict[str, str]:
    """The filters that were used."""
    return {name: str(params[name]) for name in _FILTERS if params.get(name)}


def begin_export(actor: Actor, params: Mapping[str, Any], form: str) -> tuple[QuerySet[AuditEvent], int]:
    """What to write, up to the row before the one that tells of this. Raises Wrong, NotAllowed."""
    with audited(actor, "admin", "audit.export", form) as detail:
        rows = matching(params)
        detail |= {"filter": asked(params)}
        newest = rows.order_by("-id").values_list("id", flat=True).first() or 0
    return rows, newest


def chunk(rows: QuerySet[AuditEvent], upto: int) -> list[AuditEvent]:
    """The next rows, newest first; the one before the last one's id is the next `upto`."""
    return list(rows.filter(id__lte=upto).order_by("-id")[:CHUNK])


def as_dict(row: AuditEvent) -> dict[str, Any]:
    return {
        "id": row.pk, "at": row.at, "actor": row.actor, "origin": row.origin, "action": row.action,
        "target": row.target, "n": row.n, "result": row.result, "q": row.query, "reason": row.reason,
        "detail": row.detail,
    }  # fmt: skip


def lines(rows: list[AuditEvent]) -> str:
    """JSON, an object a line."""
    return "".join(json.dumps(as_dict(row), default=_iso, ensure_ascii=False) + "\n" for row in rows)


def cells(rows: list[AuditEvent], *, with_head: bool = False) -> str:
    """CSV."""
    return written(([COLUMNS] if with_head else []) + [_row(row) for row in rows])


def _row(row: AuditEvent) -> tuple[str, ...]:
    return tuple(
        json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else _iso(value)
        for value in as_dict(row).values()
    )


def _iso(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _text(params: Mapping[str, Any], name: str) -> str:
    text = str(params.get(name) or "").strip()
    if len(text) > 255 or not text.isprintable():
        raise Wrong(name, f"{name} is not up to 255 printable characters")
    return text


def _time(params: Mapping[str, Any], name: str, *, is_end: bool = False) -> datetime | None:
    """A day in UTC, of which `to` means the end, or a time with its zone."""
    text = _text(params, name)
    if not text:
        return None
    try:
        if day := parse_date(text):
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            return start + timedelta(days=1) if is_end else start
        found = parse_datetime(text)
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise Wrong(
            name, f"{name} {text[:40]!r} is neither a day (2026-11-25) nor a time (2026-11-25T14:00Z)"
        )
    return found if timezone.is_aware(found) else found.replace(tzinfo=UTC)


def _whole(name: str, value: Any, low: int, high: int) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
        raise Wrong(name, f"{name} {text[:40]!r} is not a whole number from {low} to {high}")
    return int(text)
