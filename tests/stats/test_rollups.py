"""Sum of minutes == sum of hours == sum of days, whatever was asleep in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from queueapp import stats
from queueapp.engine.prune import TOTALS_AT, prune_records
from queueapp.models import Bookmark, Day, Hour, Minute, RecipientDomain, Site
from queueapp.stats import history, rollups
from queueapp.stats.spread import bucket_of, percentile, together

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 10, 14, 30, 20, tzinfo=UTC)
METRICS = ("accepted", "delivered", "deferred", "bounced", "expired")


def mail(n: int, ago: timedelta, domain: int = 1, metric: str = "delivered") -> None:
    stats.record(stats.Tally({(domain, metric): n}), NOW - ago)


def roll(now: datetime = NOW) -> None:
    while rollups.roll(now):
        pass


def week() -> None:
    for hours in range(0, 7 * 24, 13):
        mail(hours + 1, timedelta(hours=hours), domain=1 + hours % 3, metric=METRICS[hours % 5])
        mail(1, timedelta(hours=hours, minutes=7), domain=2)


def sums(step: int, scope: int = 0, start: datetime = NOW - timedelta(days=9)) -> dict[str, int]:
    return {metric: sum(ns) for metric, ns in history.counts(start, NOW, step, scope)[1].items()}


def test_it_works() -> None:
    week()
    whole = sums(60)
    assert sum(whole.values()) > 100
    roll()
    assert Hour.objects.exists()
    assert Day.objects.exists()
    assert sums(60) == sums(3600) == sums(86400) == sums(7200) == whole


def test_hours_and_days_hold_what_their_minutes_hold() -> None:
    week()
    roll()
    for hour in Hour.objects.all():
        rows = Minute.objects.filter(
            domain_id=hour.scope, at__gte=hour.at, at__lt=hour.at + timedelta(hours=1)
        )
        assert hour.n_delivered == sum(row.n_delivered for row in rows)
    for day in Day.objects.all():
        rows = Hour.objects.filter(scope=day.scope, at__gte=day.at, at__lt=day.at + timedelta(days=1))
        assert [day.n_delivered, day.n_accepted] == [
            sum(row.n_delivered for row in rows), sum(row.n_accepted for row in rows)
        ]  # fmt: skip


def test_it_may_run_again() -> None:
    week()
    roll()
    before = sorted(Hour.objects.values_list("at", "scope", "n_delivered"))
    Bookmark.objects.all().delete()
    roll()
    assert sorted(Hour.objects.values_list("at", "scope", "n_delivered")) == before
    assert sums(3600) == sums(60)


def test_it_catches_up_after_a_gap_in_bounded_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    mail(5, timedelta(days=8, hours=12))
    roll(NOW - timedelta(days=8))
    week()
    monkeypatch.setattr(rollups, "AT_MOST", 0.0)
    assert rollups.roll(NOW) == 0
    monkeypatch.undo()
    roll()
    assert sums(60) == sums(3600) == sums(86400)


def test_what_is_not_over_is_read_from_minutes() -> None:
    roll(NOW)
    mail(3, timedelta(0))
    mail(4, timedelta(minutes=20))
    mail(5, timedelta(hours=1))
    roll(NOW)
    assert not Hour.objects.filter(at__gte=NOW.replace(minute=0, second=0)).exists()
    assert sums(3600)["delivered"] == 12


def test_minutes_of_a_site_are_those_of_its_domains() -> None:
    site = Site.objects.create(key="mx:1", name="example.net", route="mx")
    mine = [RecipientDomain.objects.create(name=f"{n}.test", site=site).pk for n in range(2)]
    other = RecipientDomain.objects.create(name="other.test").pk
    for domain in (*mine, other):
        for minutes in (0, 3, 50, 200):
            mail(7, timedelta(minutes=minutes), domain=domain)
    roll()
    assert sums(60, -site.pk)["delivered"] == sums(3600, -site.pk)["delivered"] == 7 * 2 * 4
    assert sums(60)["delivered"] == 7 * 3 * 4
    assert Minute.objects.filter(domain_id=-site.pk).count() == 3
    assert Hour.objects.filter(scope=-site.pk).exists()


def test_totals_of_old_minutes_are_no_hour() -> None:
    Minute.objects.create(at=TOTALS_AT, n_delivered=1_000_000)
    mail(1, timedelta(hours=3))
    roll()
    assert sums(3600)["delivered"] == 1
    assert not Hour.objects.filter(at__year=1970).exists()


def test_minutes_stay_until_hours_are_made_of_them() -> None:
    mail(9, timedelta(days=60))
    assert prune_records(NOW)["minutes"] == 2
    mail(9, timedelta(days=60))
    Bookmark.objects.create(pk=rollups.HOURS, at=NOW - timedelta(days=61))
    assert prune_records(NOW)["minutes"] == 0
    roll()
    assert prune_records(NOW)["minutes"] == 2
    assert sums(3600, start=NOW - timedelta(days=70))["delivered"] == 9


def test_spreads() -> None:
    spread = together([{bucket_of(1.0): 90}, {bucket_of(60.0): 10}])
    median, p95 = percentile(spread, 0.5), percentile(spread, 0.95)
    assert 0.7 < (median or 0) < 1.5
    assert 40 < (p95 or 0) < 85
    assert percentile({}, 0.5) is None
    assert [bucket_of(0), bucket_of(1e9)] == ["0", "48"]
