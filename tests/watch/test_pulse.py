"""The watch says when it last went round."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from queueapp.watch import pulse
from queueapp.workers import schedule

pytestmark = pytest.mark.django_db


def test_it_has_never_run_before_it_ran() -> None:
    assert pulse.last() is None


def test_each_round_is_the_last_one() -> None:
    pulse.beat()
    first = pulse.last()
    pulse.beat()
    second = pulse.last()
    assert first is not None
    assert second is not None
    assert timezone.now() - timedelta(seconds=60) < first < second


def test_it_is_a_task_of_the_watch_and_of_nobody_else() -> None:
    path = f"{pulse.__name__}.{pulse.beat.__name__}"
    assert [task.every for task in schedule.watching() if task.path == path] == [pulse.EVERY]
    assert path not in {task.path for task in [*schedule.tasks(), *schedule.figures()]}
