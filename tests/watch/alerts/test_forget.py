"""What is long over goes; what holds, and what was over a while ago, stays."""

from __future__ import annotations

from datetime import timedelta

import pytest

from queueapp.models import Alert, AlertGroup, Notice, Silence
from queueapp.watch.alerts.forget import KEEP, forget
from tests.dashboard.alerts import a_group, a_notice, a_silence, an_alert, an_old_alert
from tests.dashboard.rows import now

pytestmark = pytest.mark.django_db


def test_only_what_is_long_over_is_forgotten() -> None:
    before = now() - KEEP - timedelta(days=1)
    old, young = a_group("old", resolved_at=before), a_group("young")
    an_old_alert("long over", resolved_at=before)
    an_old_alert("just over")
    an_alert("holds", since=before)
    a_notice(old)
    a_notice(young)
    a_silence()
    Silence.objects.update(until=before)
    a_silence()
    assert forget() == 4
    assert set(Alert.objects.values_list("title", flat=True)) == {"just over", "holds"}
    assert AlertGroup.objects.get() == young
    assert Notice.objects.get().group == young
    assert Silence.objects.count() == 1
    assert forget() == 0
