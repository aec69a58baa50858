"""What is long over is forgotten: alerts, groups with their notices, silences. In small steps, each hour."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from queueapp.models import Alert, AlertGroup, Notice, Silence

KEEP = timedelta(days=90)
STEP = 1_000


def forget(now: datetime | None = None) -> int:
    """How many rows went; the rest of many goes in the next hour."""
    before = (now or timezone.now()) - KEEP
    alerts = Alert.objects.filter(resolved_at__lt=before).values_list("pk", flat=True)
    groups = AlertGroup.objects.filter(resolved_at__lt=before).values_list("pk", flat=True)
    tests = Notice.objects.filter(group=None, made_at__lt=before).values_list("pk", flat=True)
    silences = Silence.objects.filter(until__lt=before).values_list("pk", flat=True)
    return sum(
        model._default_manager.filter(pk__in=list(pks[:STEP])).delete()[0]
        for model, pks in ((Alert, alerts), (AlertGroup, groups), (Notice, tests), (Silence, silences))
    )
