"""Who keeps quiet: what a silence covers, what another alert explains, and what can wait for the morning.

Pure but for the rows handed in. A muted alert is shown as any other, with what mutes it; only nobody is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from queueapp.models import Alert, AlertState, Severity, Silence
from queueapp.watch.alerts.conditions import BY_NAME

AFTER = timedelta(minutes=2)
"""A parent mutes its children for so long after its end: they need a moment to get well."""


def by(alert: Alert, silences: Iterable[Silence], parents: Collection[str], *, is_quiet: bool) -> str:
    """What mutes it, or ""."""
    condition = BY_NAME.get(alert.condition)
    for name in condition.muted_by if condition else ():
        if name in parents:
            return f"parent:{name}"
    for silence in silences:
        if silence.covers(alert):
            return f"silence:{silence.pk}"
    if is_quiet and alert.severity != Severity.CRITICAL:
        return "quiet hours"
    return ""


def parents(rows: Iterable[Alert], now: datetime) -> set[str]:
    """Conditions that hold, are about to be told, or were over a moment ago."""
    return {
        row.condition
        for row in rows
        if row.state != AlertState.RESOLVED or (row.resolved_at and now - row.resolved_at < AFTER)
    }


def is_quiet(now: datetime, hours: tuple[time, time] | None, zone: str) -> bool:
    """`hours` may pass midnight. From and until, the zone's own clock."""
    if hours is None:
        return False
    begin, end = hours
    clock = now.astimezone(ZoneInfo(zone)).time()
    return begin <= clock < end if begin <= end else clock >= begin or clock < end
