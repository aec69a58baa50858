"""What becomes of an alert from one round to the next: pending, firing, acknowledged, resolved.

Pure: takes the alert and what is seen, changes the alert, and says what happened; the round stores it. One
that comes and goes is told once as that, and then ends only when it has been away for long: so it is one
alert and two mails, however often it changes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from queueapp.models import Alert, AlertRule, AlertState
from queueapp.watch.alerts.conditions import BY_NAME
from queueapp.watch.alerts.seen import Seen

Became = Literal["", "new", "fired", "dropped", "resolved", "steady"]
FLAPS, FLAPS_WITHIN = 3, timedelta(hours=2)
"""So often within so long: it comes and goes."""
STEADY_FOR = timedelta(minutes=30)
LOST_SIGHT = timedelta(minutes=2)
"""A pending one that was not seen for so long, since nobody looked, begins anew."""


def begin(rule: AlertRule, seen: Seen, now: datetime) -> Alert:
    condition = BY_NAME.get(rule.condition)
    alert = Alert(
        rule=rule, rule_name=rule.name, condition=rule.condition, key=seen.key[:600], since=now, seen_at=now,
        unit=condition.unit if condition else "", state=AlertState.PENDING,
    )  # fmt: skip
    _show(alert, rule, seen)
    return alert


def hold(alert: Alert, rule: AlertRule, seen: Seen, now: datetime) -> Became:
    """It is seen again."""
    if alert.state == AlertState.PENDING and (now - alert.seen_at > LOST_SIGHT or alert.since > now):
        alert.since = now
    alert.seen_at, alert.clear_since = now, None
    _show(alert, rule, seen)
    if alert.state == AlertState.PENDING and now - alert.since >= rule.holds_for:
        alert.state, alert.fired_at = AlertState.FIRING, now
        return "fired"
    return ""


def miss(alert: Alert, rule: AlertRule | None, now: datetime) -> Became:
    """It is not seen; `rule` None: it is gone or switched off, and so is what it told."""
    if alert.state == AlertState.PENDING:
        return "dropped"
    alert.clear_since = alert.clear_since or now
    wanted = rule.clear_for if rule is not None else timedelta(0)
    if alert.is_flapping and rule is not None:
        wanted = max(wanted, STEADY_FOR)
    if now - alert.clear_since < wanted:
        return ""
    alert.state, alert.resolved_at = AlertState.RESOLVED, now
    return "resolved"


def flaps(alert: Alert, n_before: int) -> bool:
    """`n_before`: how often the same was over within FLAPS_WITHIN."""
    return n_before >= FLAPS - 1


def _show(alert: Alert, rule: AlertRule, seen: Seen) -> None:
    alert.severity = seen.severity or rule.severity
    alert.scope, alert.label, alert.title = seen.scope, seen.label[:600], seen.title[:300]
    alert.cause, alert.value, alert.threshold, alert.detail = (
        seen.cause[:200],
        seen.value,
        seen.threshold,
        seen.detail,
    )
