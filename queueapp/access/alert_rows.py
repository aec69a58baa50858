"""Alerts, rules, silences and notices as plain values: what the API answers and what the command writes.

One place, so that a program may change from one to the other. Times stay times, spans are seconds.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from queueapp.models import Alert, AlertRule, Notice, Silence

ALERT = (
    "rule_name", "condition", "severity", "state", "scope", "key", "label", "title", "cause", "value",
    "threshold", "unit", "detail", "since", "fired_at", "acknowledged_at", "acknowledged_by", "note",
    "resolved_at", "muted_by",
)  # fmt: skip
RULE = (
    "name", "about", "condition", "query", "is_enabled", "is_shipped", "severity", "threshold", "scope",
    "only", "holds_for", "clear_for", "remind_every", "recipients", "blind_since",
)  # fmt: skip
SILENCE = (
    "rule_id", "severity", "scope", "only", "reason", "since", "until", "made_by", "lifted_at", "lifted_by",
)  # fmt: skip
NOTICE = (
    "kind", "channel", "to", "subject", "state", "made_at", "sent_at", "n_tries", "via", "error", "talk",
)  # fmt: skip
_NOTICES = 50
Row = dict[str, Any]


def alert(row: Alert) -> Row:
    return _plain(row, ALERT)


def alert_in_full(row: Alert) -> Row:
    """With its group, and what was said of it to whom."""
    group = row.group
    said = Notice.objects.filter(group=group).order_by("made_at", "pk")[:_NOTICES] if group else ()
    return {
        **alert(row),
        "group": {"id": group.pk, "title": group.title, "n_most": group.n_most} if group else None,
        "notices": [notice(each) for each in said],
    }


def rule(row: AlertRule) -> Row:
    return _plain(row, RULE)


def silence(row: Silence) -> Row:
    return _plain(row, SILENCE)


def notice(row: Notice) -> Row:
    return _plain(row, NOTICE)


def _plain(row: Any, names: tuple[str, ...]) -> Row:
    found = {name: getattr(row, name) for name in names}
    spans = {name: value.total_seconds() for name, value in found.items() if isinstance(value, timedelta)}
    return {"id": row.pk, **found, **spans}
