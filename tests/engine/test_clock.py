"""A clock that is set back delays nothing by the time it was set back."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from queueapp.engine import backoff, clock
from queueapp.models import Delivery, RecipientDomain, Site
from tests.engine.queue import DEFERRED, claimed, put, record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]
HOUR = timedelta(hours=1)


def in_an_hour() -> time_machine.travel:
    return time_machine.travel(timezone.now() + HOUR)


def test_what_was_accepted_by_the_old_clock_goes_at_once() -> None:
    with in_an_hour():
        put("bob@example.net")
    assert claimed()[1] == []
    assert clock.set_right() == 1
    assert [row.recipient for row in claimed()[1]] == ["bob@example.net"]


def test_what_was_deferred_by_the_old_clock_waits_as_long_as_it_was_meant_to() -> None:
    with in_an_hour():
        put("bob@example.net")
        runner, rows = claimed()
        assert record(runner, rows, DEFERRED) == [True]
    assert clock.set_right() == 1
    row = Delivery.objects.get()
    assert timedelta(minutes=4) < row.next_attempt_at - timezone.now() < timedelta(minutes=6)
    assert RecipientDomain.objects.get().due_at <= row.next_attempt_at


def test_a_time_that_the_sender_asked_for_stays() -> None:
    at = timezone.now() + timedelta(hours=3)
    with in_an_hour():
        put("bob@example.net", send_at=at)
    assert clock.set_right() == 0
    assert Delivery.objects.get().next_attempt_at == at


def test_clocks_that_differ_by_a_minute_change_nothing() -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        put("bob@example.net")
        runner, rows = claimed()
        record(runner, rows, DEFERRED)
    before = Delivery.objects.get().next_attempt_at
    assert clock.set_right() == 0
    assert Delivery.objects.get().next_attempt_at == before


def test_a_back_off_of_the_old_clock_lasts_as_long_as_it_was_meant_to() -> None:
    site = Site.objects.create(key="relay:x", name="x", route="relay")
    with in_an_hour():
        backoff.begin(site.pk, DEFERRED)
    clock.set_right()
    assert Site.objects.get().backoff_until <= timezone.now() + timedelta(seconds=31)


def test_it_looks_at_rows_at_the_start_and_after_a_jump_back_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_offset", None)
    monkeypatch.setattr(clock, "_watch_until", 0.0)
    with in_an_hour():
        put("bob@example.net")
    assert clock.look() == 1
    with in_an_hour():
        put("eve@example.net")
    assert clock.look() == 0
    monkeypatch.setattr(clock, "_offset", clock._offset + 3600)
    assert clock.look() == 1
    with in_an_hour():
        put("late@example.net")  # begun before the jump, committed after it
    assert clock.look() == 1
