"""What holds now and what people should see, for every page: alerts, listings, effects.

Promises: a fixed number of queries on rows that are not over; MOST alerts at the most, those that nobody has
seen to first, of these the worst and the newest. Texts may be a stranger's.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from django.urls import reverse

from queueapp.models import Alert, AlertState, Severity

MOST = 20
Row = dict[str, Any]
_RINGS = Q(state=AlertState.FIRING, muted_by="")
"""Nobody has acknowledged it, and nothing keeps it quiet."""


def live() -> list[Row]:
    """For the socket: id, severity, condition, title, since, state, link; `key` is that of the cause."""
    return [_row(alert) for alert in worst_first()[:MOST]]


def worst_first() -> QuerySet[Any]:
    quiet = Case(When(_RINGS, then=Value(0)), default=Value(1), output_field=IntegerField())
    rows: QuerySet[Any] = Alert.objects.open().annotate(is_quiet=quiet).select_related("group")
    return rows.order_by("is_quiet", "worst", "-fired_at", "-pk")


def counts() -> dict[str, int]:
    """How many causes there are: `firing` and of these `critical`, and alerts that are `quiet`. What has one
    cause counts once, be it five hundred domains."""
    found = (
        Alert.objects.open()
        .order_by()
        .aggregate(
            groups=Count("group", distinct=True, filter=_RINGS),
            alone=Count("pk", filter=_RINGS & Q(group=None)),
            critical=Count("group", distinct=True, filter=_RINGS & Q(severity=Severity.CRITICAL)),
            critical_alone=Count("pk", filter=_RINGS & Q(group=None, severity=Severity.CRITICAL)),
            quiet=Count("pk", filter=~_RINGS),
        )
    )
    return {
        "firing": found["groups"] + found["alone"],
        "critical": found["critical"] + found["critical_alone"],
        "quiet": found["quiet"],
    }


def _row(alert: Alert) -> Row:
    group = alert.group
    return {
        "id": alert.pk,
        "key": f"group-{group.pk}" if group else f"alert-{alert.pk}",
        "severity": alert.severity,
        "condition": alert.condition,
        "title": alert.title,
        "told": group.title if group else alert.title,
        "since": alert.since,
        "state": alert.state,
        "is_quiet": bool(alert.muted_by) or alert.state != AlertState.FIRING,
        "link": reverse("alert", args=[alert.pk]),
    }
