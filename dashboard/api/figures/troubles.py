"""What is wrong now: alerts, what keeps them quiet, what is still to be told; listings, effects of rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count
from django.utils import timezone
from prometheus_client.core import Metric

from dashboard.api.figures.families import each, gauge, gauges
from queueapp.models import Alert, AlertState, Effect, Listing, Notice, NoticeState, Severity, Silence

_STATES = (AlertState.PENDING, AlertState.FIRING, AlertState.ACKNOWLEDGED)


def collect() -> Iterator[Metric]:
    now = timezone.now()
    yield gauges("alerts", "Alerts that are not over.", "severity state", _alerts().items())
    yield gauge("silences", "Silences in force.", Silence.objects.in_force(now).count())
    text = "What is to be said of alerts and was not taken by anybody yet."
    yield gauge("notices_waiting", text, Notice.objects.filter(state=NoticeState.WAITING).count())
    text = "Our addresses and domains on blocklists, once for each list, by how bad it is."
    yield gauges("listings", text, "severity", each(_listings(now)))
    text = "What rules of back-off hold now."
    yield gauge("effects", text, Effect.objects.open(now).count())


def _alerts() -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {
        (str(severity), str(state)): 0.0 for severity in Severity for state in _STATES
    }
    rows = Alert.objects.live().order_by().values_list("severity", "state")
    for severity, state, n in rows.annotate(n=Count("id")):
        found[severity, state] = float(n)
    return found


def _listings(now: datetime) -> dict[str, float]:
    """What receivers name costs mail: danger, where the list is not looked at."""
    found = dict.fromkeys(("danger", "warning", "info"), 0.0)
    rows = Listing.objects.hurting(now).order_by().values_list("severity")
    for severity, n in rows.annotate(n=Count("id")):
        found[severity or "danger"] += n
    return found
