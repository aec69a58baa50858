"""What became of an alert, in the order of time: seen, told, acknowledged, reminded, over."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dashboard.pages.alert_words import KINDS
from queueapp.models import Alert, Notice, NoticeKind

_MOST = 50
Step = dict[str, Any]


def of(alert: Alert) -> list[Step]:
    """[{at, icon, tone, text, detail, notice}], oldest first."""
    steps = [_step(alert.since, "eye", "plain", "Seen for the first time")]
    if alert.fired_at:
        steps.append(_step(alert.fired_at, "bell", "danger", "Held for long enough: it fires"))
    if alert.acknowledged_at:
        who = alert.acknowledged_by.removeprefix("user:")
        steps.append(_step(alert.acknowledged_at, "check-lg", "info", f"Acknowledged by {who}", alert.note))
    if alert.clear_since and not alert.resolved_at:
        steps.append(_step(alert.clear_since, "hourglass-split", "plain", "Not seen since"))
    if alert.resolved_at:
        steps.append(_step(alert.resolved_at, "check-circle", "success", "Over"))
    if alert.group_id:
        notices = Notice.objects.filter(group_id=alert.group_id).order_by("made_at", "pk")
        steps += [_notice(row) for row in notices[:_MOST]]
    return sorted(steps, key=lambda step: step["at"])


def _step(at: datetime, icon: str, tone: str, text: str, detail: str = "") -> Step:
    return {"at": at, "icon": icon, "tone": tone, "text": text, "detail": detail, "notice": None}


def _notice(row: Notice) -> Step:
    icon, tone = {"sent": ("envelope-check", "success"), "failed": ("envelope-x", "danger")}.get(
        row.state, ("envelope", "warning")
    )
    kind = KINDS.get(NoticeKind(row.kind), row.kind)
    return {**_step(row.made_at, icon, tone, f"{row.to}: {kind}", row.error), "notice": row}
