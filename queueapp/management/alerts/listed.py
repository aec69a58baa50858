"""Alerts, rules and silences as tables for a terminal. Texts may be a stranger's: none steers it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from queueapp.management.access_command import shown_time
from queueapp.management.columns import columns, printable
from queueapp.models import Alert, AlertRule, Notice, Silence
from queueapp.watch.notify.words import amount, span

_ALERTS = ("ID", "SEVERITY", "STATE", "SINCE", "ON", "WHAT")
_RULES = ("ID", "ON", "SEVERITY", "NAME", "CONDITION", "LIMIT", "FOR", "OF")
_SILENCES = ("ID", "UNTIL", "COVERS", "REASON", "BY")


def alerts(rows: Sequence[Alert]) -> str:
    cells = [(row.pk, row.severity, _state(row), shown_time(row.since), row.label, row.title) for row in rows]
    return columns(_ALERTS, cells, numbers=("ID",))


def _state(row: Alert) -> str:
    if row.acknowledged_by and row.resolved_at is None:
        return f"ack by {_name(row.acknowledged_by)}"
    return f"{row.state} (quiet)" if row.muted_by and row.resolved_at is None else row.state


def one(row: Alert, notices: Iterable[Notice], now: datetime) -> str:
    """All that is known of it, a line each."""
    end = row.resolved_at or now
    lasted = f"{span(end - row.since)}{'' if row.resolved_at else ' so far'}"
    limit = f" (limit {amount(row.threshold, row.unit)})" if row.threshold is not None else ""
    detail = row.detail
    lines: list[tuple[str, Any]] = [
        ("on", row.label),
        ("state", f"{row.state}, {row.severity}"),
        ("rule", row.rule_name),
        ("value", f"{amount(row.value, row.unit)}{limit}" if row.value is not None else ""),
        ("since", f"{shown_time(row.since)} UTC, {lasted}"),
        ("over", f"{shown_time(row.resolved_at)} UTC" if row.resolved_at else ""),
        ("acknowledged", f"{_name(row.acknowledged_by)} {row.note}".strip() if row.acknowledged_by else ""),
        ("quiet because", row.muted_by),
        *(("cause", f"{text} ({n:,})" if n else text) for text, n in detail.get("causes", [])[:5]),
        *(("most at", f"{name}: {n:,.0f}") for name, n in detail.get("sites", [])[:5]),
        ("reply", detail.get("reply", "")),
        ("what to do", detail.get("advice", "")),
        ("search", detail.get("query", "")),
        *(("told", _notice(each)) for each in notices),
    ]
    body = [f"{name + ':':15}{printable(text)}" for name, text in lines if text]
    return "\n".join([printable(f"{row.pk}  {row.title}"), *body])


def notice(row: Notice) -> str:
    """How a test went: one line, then the conversation."""
    went = f"{row.via or row.to} took it" if row.state == "sent" else f"not taken: {row.error}"
    talk = [printable(line) for line in row.talk.splitlines()]
    return "\n".join([printable(f"{row.channel} to {row.to}: {went}"), *(f"  {line}" for line in talk)])


def _notice(row: Notice) -> str:
    at = shown_time(row.sent_at or row.made_at)
    by = f" by {row.via}" if row.via else f": {row.error}" if row.error else ""
    return f"{at} {row.kind} to {row.to} ({row.channel}), {row.state}{by}"


def rules(rows: Sequence[AlertRule], units: dict[str, str]) -> str:
    cells = [
        (
            row.pk,
            "on" if row.is_enabled else "off",
            row.severity,
            row.name,
            row.condition,
            amount(row.threshold, units.get(row.condition, "")) or "-",
            span(row.holds_for),
            row.query or row.only or "-",
        )
        for row in rows
    ]
    return columns(_RULES, cells, numbers=("ID",))


def silences(rows: Sequence[Silence]) -> str:
    cells = [(row.pk, shown_time(row.until), covers(row), row.reason, _name(row.made_by)) for row in rows]
    return columns(_SILENCES, cells, numbers=("ID",))


def covers(row: Silence) -> str:
    parts = [row.rule.name if row.rule else "", row.severity, row.scope, row.only]
    return ", ".join(part for part in parts if part) or "every alert"


def _name(who: str) -> str:
    return who.removeprefix("user:").removeprefix("command:")
