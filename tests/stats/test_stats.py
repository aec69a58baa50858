"""Figures: what was counted is what is shown, by the minute, at any size of the queue."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from datetime import timezone as Zone

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from queueapp import stats
from queueapp.models import Delivery, Minute
from queueapp.stats import Tally
from tests.engine.queue import DEFERRED, claimed, put, record

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, 0, 30, 123456, tzinfo=UTC)


def add(at: datetime, domain: int = 7, **n: int) -> None:
    stats.record(Tally({(domain, metric): count for metric, count in n.items()}), at)


def test_it_adds_up_by_minute_and_domain_and_over_all() -> None:
    add(NOON, accepted=3)
    add(NOON + timedelta(seconds=20), accepted=2, delivered=1)
    add(NOON + timedelta(seconds=40), domain=8, accepted=4)
    rows = {(row.at.minute, row.domain_id): (row.n_accepted, row.n_delivered) for row in Minute.objects.all()}
    assert rows == {(0, 7): (5, 1), (0, 0): (5, 1), (1, 8): (4, 0), (1, 0): (4, 0)}


def test_an_empty_tally_writes_nothing() -> None:
    stats.record(Tally(), NOON)
    assert not Minute.objects.exists()


def test_times_of_any_zone_fall_into_the_same_minute() -> None:
    add(NOON, accepted=1)
    add(NOON.astimezone(Zone(timedelta(hours=5, minutes=45))), accepted=1)
    assert Minute.objects.get(domain_id=7).n_accepted == 2
    assert stats.series("accepted", NOON, NOON, 60)[0][0] == NOON.replace(second=0, microsecond=0)


def test_the_depth_is_exact() -> None:
    put("a@x.test", "b@y.test", "c@y.test")
    runner, rows = claimed(2)
    record(runner, rows[:1], DEFERRED)
    depth = stats.depth()
    assert {state: n for state, n in depth.items() if n} == {"queued": 1, "sending": 1, "deferred": 1}
    assert set(depth) >= {
        "queued",
        "sending",
        "deferred",
        "held",
        "delivered",
        "bounced",
        "expired",
        "deleted",
    }


def test_rates_are_per_minute_over_the_time_that_has_passed() -> None:
    add(NOON - timedelta(minutes=1), delivered=60, accepted=30)
    add(NOON, delivered=30)
    add(NOON - timedelta(minutes=3), delivered=1000)
    rates = stats.rates(NOON)
    assert rates["delivered"] == pytest.approx(60, abs=1)
    assert rates["accepted"] == pytest.approx(20, abs=1)
    assert rates["expired"] == 0


def test_rates_of_an_empty_queue_are_nought() -> None:
    assert set(stats.rates().values()) == {0}


def test_the_oldest_due_is_what_waits_longest_for_its_turn() -> None:
    assert stats.oldest_due() is None
    now = timezone.now()
    [first, second] = put("a@x.test", "b@x.test")
    Delivery.objects.filter(pk=first).update(next_attempt_at=now - timedelta(minutes=5))
    assert stats.oldest_due(now) == pytest.approx(300, abs=1)
    Delivery.objects.update(next_attempt_at=now + timedelta(minutes=5))
    assert stats.oldest_due(now) is None
    Delivery.objects.filter(pk=second).update(state="held", next_attempt_at=now - timedelta(hours=1))
    assert stats.oldest_due(now) is None


def test_retries_due_counts_deferred_ones_only() -> None:
    put("a@x.test", "b@x.test", "c@x.test")
    runner, rows = claimed()
    record(runner, rows[:2], DEFERRED)
    now = timezone.now()
    assert stats.retries_due(now) == 2
    Delivery.objects.filter(pk=rows[0].id).update(next_attempt_at=now + timedelta(hours=2))
    assert stats.retries_due(now) == 1
    assert stats.retries_due(now, within=3 * 3600) == 2


@pytest.mark.parametrize("figure", [stats.oldest_due, stats.retries_due])
def test_no_figure_scans_the_live_table(figure: object) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the planner of PostgreSQL scans small tables whatever there is")
    put("a@x.test")
    with CaptureQueriesContext(connection) as queries:
        figure()  # type: ignore[operator]
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + queries[0]["sql"])
        plan = " ".join(row[3] for row in cursor.fetchall())
    assert "USING" in plan, plan
    assert "delivery_waiting" in plan, plan


def test_a_series_fills_its_gaps_and_sums_its_steps() -> None:
    start = NOON.replace(second=0, microsecond=0)
    for minute, n in ((0, 1), (1, 2), (7, 4)):
        add(start + timedelta(minutes=minute), delivered=n)
    found = stats.series("delivered", start, start + timedelta(minutes=9), 300)
    assert found == [(start, 3), (start + timedelta(minutes=5), 4)]
    one = stats.series("delivered", start, start + timedelta(minutes=3), 60)
    assert [n for _, n in one] == [1, 2, 0, 0]


def test_a_series_may_be_of_one_domain() -> None:
    add(NOON, domain=7, accepted=1)
    add(NOON, domain=8, accepted=2)
    assert (
        sum(n for _, n in stats.series("accepted", NOON, NOON + timedelta(minutes=1), 60, domain_id=8)) == 2
    )


def test_a_series_backwards_is_empty_and_an_unknown_metric_is_named() -> None:
    assert stats.series("accepted", NOON, NOON - timedelta(hours=1), 60) == []
    with pytest.raises(ValueError, match="no metric 'speed': one of accepted"):
        stats.series("speed", NOON, NOON, 60)


def test_what_is_rolled_back_is_not_counted() -> None:
    with transaction.atomic():
        add(NOON, accepted=1)
        transaction.set_rollback(True)
    assert not Minute.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_writers_at_once_neither_deadlock_nor_lose_a_count() -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for n in range(15):
                with transaction.atomic():
                    order = range(1, 6) if (n + number) % 2 else range(5, 0, -1)
                    stats.record(Tally({(domain, "accepted"): 1 for domain in order}), NOON)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert Minute.objects.get(domain_id=0).n_accepted == 3 * 15 * 5
