"""Counters for Prometheus only grow: over restarts, folds and prunes, and whoever counts at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from queueapp.engine.prune import prune_records
from queueapp.models import EVERY_DOMAIN, Bookmark, Minute, OutcomeSlot, RecipientDomain, Site
from queueapp.stats import outcomes, totals
from tests.engine.queue import DEFERRED, DELIVERED, claimed, put, record
from tests.stats.test_outcomes import last

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, 30, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _anew() -> None:
    outcomes.forget()


def minute(n: int, ago: timedelta, domain: int = EVERY_DOMAIN) -> None:
    Minute.objects.create(at=(NOW - ago).replace(second=0), domain_id=domain, n_delivered=n)


def test_it_works() -> None:
    minute(3, timedelta(days=100))
    minute(4, timedelta(minutes=1))
    minute(5, timedelta(minutes=1), domain=7)
    assert totals.events() == {"accepted": 0, "delivered": 7, "deferred": 0, "bounced": 0, "expired": 0}


def test_a_fold_changes_no_sum() -> None:
    for hours in (0, 1, 3, 50):
        minute(1, timedelta(hours=hours))
    before = totals.events()
    assert totals.fold(NOW)
    assert totals.until() == NOW.replace(second=0) - totals.SETTLED
    assert totals.events() == before
    Minute.objects.filter(at__lt=NOW - timedelta(hours=2)).delete()
    assert totals.events() == before


def test_it_folds_once_an_hour_and_goes_on_where_it_was() -> None:
    minute(1, timedelta(hours=5))
    assert totals.fold(NOW)
    minute(2, timedelta(minutes=90))
    assert not totals.fold(NOW + timedelta(minutes=59))
    assert totals.fold(NOW + timedelta(minutes=61))
    assert Bookmark.objects.get(pk=totals.NAME).data["delivered"] == 3
    assert totals.events()["delivered"] == 3


def test_two_machines_that_fold_at_once_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    minute(4, timedelta(hours=5))
    summed = totals._sums

    def and_meanwhile(mark: Any, end: Any) -> dict[str, int]:
        monkeypatch.undo()
        totals.fold(NOW)
        return summed(mark, end)

    monkeypatch.setattr(totals, "_sums", and_meanwhile)
    assert not totals.fold(NOW)
    assert totals.events()["delivered"] == 4


def test_minutes_stay_until_they_are_folded() -> None:
    minute(1, timedelta(days=60))
    assert totals.fold(NOW - timedelta(days=70))
    assert prune_records(NOW)["minutes"] == 0
    assert totals.events()["delivered"] == 1
    assert totals.fold(NOW)
    assert prune_records(NOW)["minutes"] == 1
    assert totals.events()["delivered"] == 1


def tried(*outcomes_of: Any) -> Site:
    """One delivery each, tried with that outcome, all at one site."""
    put(*(f"r{n}@a.test" for n in range(len(outcomes_of))))
    site = Site.objects.create(key="mx:1", name="example.net", route="mx")
    RecipientDomain.objects.update(site=site)
    runner, rows = claimed()
    for row, outcome in zip(rows, outcomes_of, strict=True):
        record(runner, [row], outcome)
    outcomes.roll(last())
    return site


def test_it_counts_attempts_by_class_site_and_source() -> None:
    site = tried(DELIVERED, DELIVERED, DEFERRED)
    found = totals.attempts()
    assert found["classes"] == {"delivered": 2, "busy": 1}
    assert sum(found["times"].values()) == 2
    assert found["seconds"] >= 0
    assert [sum(results.values()) for results in found["sources"].values()] == [3]
    assert totals.classes_of_sites([site.pk, 10**6]) == {site.pk: {"delivered": 2, "busy": 1}}


def test_each_attempt_is_counted_once_and_prune_leaves_the_sums() -> None:
    site = tried(DELIVERED)
    outcomes.roll(last())
    OutcomeSlot.objects.create(scope=0, at=NOW - timedelta(days=90), classes={"busy": 1})
    assert prune_records(NOW)["slots of outcomes"] == 1
    assert totals.attempts()["classes"] == {"delivered": 1}
    assert totals.classes_of_sites([site.pk]) == {site.pk: {"delivered": 1}}


def test_many_sources_are_one() -> None:
    data: totals.Data = {}
    for n in range(totals.SOURCES + 30):
        news = totals.News()
        news.add("delivered", "delivered", f"192.0.2.{n}", "0", 0.1)
        data = news.onto(data)
    assert len(data["sources"]) == totals.SOURCES + 1
    assert data["sources"][totals.OTHER] == {"delivered": 30}
    assert data["sources"]["192.0.2.0"] == {"delivered": 1}
    again = totals.News()
    again.add("deferred", "busy", "192.0.2.0", None, 0.0)
    assert again.onto(data)["sources"]["192.0.2.0"] == {"delivered": 1, "deferred": 1}
