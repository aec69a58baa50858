"""Figures of the board are made of attempts that the engine itself wrote."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from queueapp.models import (
    Attempt,
    Bookmark,
    Delivery,
    DomainFigures,
    OutcomeSlot,
    RecipientDomain,
    Site,
    SiteFigures,
)
from queueapp.stats import outcomes, refresh
from tests.engine.queue import DEFERRED, DELIVERED, NO_USER, claimed, put, record

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _anew() -> None:
    outcomes.forget()


def last() -> int:
    return Attempt.objects.order_by("-pk").values_list("pk", flat=True)[0]


def at_a_site(*recipients: str) -> Site:
    put(*recipients)
    site = Site.objects.create(key="mx:1", name="example.net", route="mx")
    RecipientDomain.objects.update(site=site)
    return site


def test_it_works() -> None:
    site = at_a_site("a@a.test", "b@a.test", "c@b.test")
    runner, rows = claimed()
    by_name = {row.recipient: row for row in rows}
    record(runner, [by_name["a@a.test"]], DELIVERED)
    record(runner, [by_name["b@a.test"]], DEFERRED)
    record(runner, [by_name["c@b.test"]], NO_USER)
    assert outcomes.roll(last()) == 3
    of_a = DomainFigures.objects.get(domain__name="a.test")
    assert of_a.outcomes == "dw"
    assert (of_a.error_class, of_a.error_reply) == ("busy", "451 4.3.0 later")
    assert of_a.delivered_at is not None
    of_b = DomainFigures.objects.get(domain__name="b.test")
    assert (of_b.outcomes, of_b.error_class, of_b.delivered_at) == ("b", "", None)
    of_site = SiteFigures.objects.get(site=site)
    assert of_site.outcomes == "dwb"
    every = OutcomeSlot.objects.get(scope=0)
    assert every.classes == {"delivered": 1, "busy": 1, "no_such_user": 1}
    assert sum(every.times.values()) == 1
    # The slot, and the totals of all slots.
    of_site = OutcomeSlot.objects.filter(scope=-site.pk)
    assert [row.classes for row in of_site] == [every.classes] * 2


def test_each_attempt_is_counted_once() -> None:
    at_a_site("a@a.test")
    runner, rows = claimed()
    record(runner, rows, DELIVERED)
    assert [outcomes.roll(last()), outcomes.roll(last())] == [1, 0]
    assert DomainFigures.objects.get().outcomes == "d"
    assert OutcomeSlot.objects.get(scope=0).classes == {"delivered": 1}


def test_who_comes_late_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another scheduler has moved the bookmark between our look and our write."""
    at_a_site("a@a.test")
    runner, rows = claimed()
    record(runner, rows, DELIVERED)
    tallied = outcomes._tally

    def and_meanwhile(rows: object) -> outcomes.Tally:
        Bookmark.objects.filter(pk=outcomes.NAME).update(number=last())
        return tallied(rows)  # type: ignore[arg-type]

    monkeypatch.setattr(outcomes, "_tally", and_meanwhile)
    assert outcomes.roll(last()) == 0
    assert not OutcomeSlot.objects.exists()


def test_it_goes_on_in_batches_after_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "BATCH", 2)
    at_a_site(*(f"r{n}@a.test" for n in range(7)))
    runner, rows = claimed()
    record(runner, rows, DELIVERED)
    assert outcomes.roll(last()) == 7
    assert DomainFigures.objects.get().outcomes == "d" * 7


def test_only_the_last_fifty_are_kept() -> None:
    at_a_site(*(f"r{n}@a.test" for n in range(60)))
    runner, rows = claimed()
    record(runner, rows[:10], NO_USER)
    record(runner, rows[10:], DELIVERED)
    outcomes.roll(last())
    assert DomainFigures.objects.get().outcomes == "d" * 50


def test_time_counts_from_when_the_mail_could_first_go() -> None:
    at_a_site("a@a.test")
    runner, rows = claimed()
    record(runner, rows, DELIVERED)
    now = timezone.now()
    Attempt.objects.update(at=now)
    row = Delivery.objects.get()
    Delivery.objects.update(accepted_at=now - timedelta(hours=5))
    type(row.message).objects.update(send_at=now - timedelta(seconds=12))
    outcomes.roll(last())
    refresh.refresh()
    found = DomainFigures.objects.get()
    assert found.median_s is not None
    assert 8 < found.median_s < 17


def test_rates_and_times_come_and_rest() -> None:
    at_a_site("a@a.test", "b@a.test")
    runner, rows = claimed()
    record(runner, rows, DELIVERED)
    outcomes.roll(last())
    assert refresh.refresh() == 2
    found = DomainFigures.objects.get()
    assert 0.2 < found.per_minute < 0.5
    assert found.p95_s is not None
    later = timezone.now() + timedelta(hours=2)
    assert refresh.refresh(later) == 2
    found.refresh_from_db()
    assert (found.per_minute, found.p95_s, found.refresh_at) == (0, None, None)
    assert refresh.refresh(later) == 0


@pytest.mark.django_db(transaction=True)
def test_it_waits_for_who_has_an_earlier_id(transactional_db: None) -> None:
    """On PostgreSQL ids are given before the commit: what is read must have no neighbour to come."""
    import threading

    at_a_site("a@a.test", "b@a.test", "c@a.test")
    runner, rows = claimed()
    record(runner, rows[:1], DELIVERED)
    if connection.vendor != "postgresql":
        assert outcomes.roll() == 1
        return
    holds, go = threading.Event(), threading.Event()

    def slow() -> None:
        from django.db import transaction

        with transaction.atomic():
            record(runner, rows[1:2], DELIVERED)
            holds.set()
            go.wait(30)
        connection.close()

    other = threading.Thread(target=slow)
    other.start()
    assert holds.wait(30)
    record_later = threading.Thread(
        target=lambda: (
            Attempt.objects.create(
                delivery=Delivery.objects.order_by("pk").last(),
                at=timezone.now(),
                result="delivered",
                reply_class="delivered",
            ),
            connection.close(),
        )
    )
    record_later.start()
    record_later.join(30)
    outcomes.roll()  # the first look
    n_before = outcomes.roll() + outcomes.roll()
    go.set()
    other.join(30)
    n = n_before
    for _ in range(200):
        n += outcomes.roll()
        if n == 3:
            break
        threading.Event().wait(0.1)
    assert n_before == 0
    assert n == 3
    assert DomainFigures.objects.get().outcomes == "ddd"
