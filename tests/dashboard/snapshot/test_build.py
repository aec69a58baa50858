from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from django.http import QueryDict
from pytest_django import DjangoAssertNumQueries

from dashboard.filters import page_of
from dashboard.snapshot import build
from dashboard.snapshot.links import open_for, quoted
from queueapp import stats
from queueapp.models import Minute, RecipientDomain
from tests.dashboard.rows import a_delivery, a_domain, an_attempt, now

pytestmark = pytest.mark.django_db


def test_it_works() -> None:
    an_attempt(a_delivery(state="deferred"))
    found = build()
    assert found["depth"]["deferred"] == 1
    assert len(found["latest"]) == 1
    assert orjson.loads(orjson.dumps(found))["headline"]["level"] == "info"


def test_mail_of_a_suspended_domain_is_nobodys_fault() -> None:
    an_hour_ago = now() - timedelta(hours=1)
    a_delivery(domain="quiet.test", next_attempt_at=an_hour_ago)
    RecipientDomain.objects.update(due_at=an_hour_ago)
    assert "no queue runner is at work" in build()["headline"]["title"]
    RecipientDomain.objects.update(suspended_at=now())
    assert "no queue runner" not in build()["headline"]["title"]


def test_it_shows_the_hour_minute_by_minute() -> None:
    at = stats.minute_of(now())
    Minute.objects.create(at=at, n_delivered=7)
    Minute.objects.create(at=at - timedelta(minutes=59), n_bounced=3)
    Minute.objects.create(at=at - timedelta(minutes=60), n_bounced=1000)
    hour = build(at + timedelta(seconds=30))["hour"]
    assert hour["start"] == at - timedelta(minutes=59)
    assert (len(hour["delivered"]), hour["delivered"][-1]) == (60, 7)
    assert (hour["bounced"][0], sum(hour["bounced"])) == (3, 3)


def test_it_asks_no_more_of_the_database_when_the_queue_is_long(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for n in range(40):
        a_domain(f"d{n}.test", n_deferred=n)
        an_attempt(a_delivery(domain=f"d{n}.test", state="deferred"))
    with django_assert_max_num_queries(27):
        build()


@pytest.mark.parametrize(
    ("value", "written"),
    [("example.com", "example.com"), ("a b", '"a b"'), ('a"b', '"a\\"b"'), ("", '""'), ("-x:y", '"-x:y"')],
)
def test_it_quotes_for_the_search(value: str, written: str) -> None:
    assert quoted(value) == written


@pytest.mark.parametrize("name", ["example.com", "-x.test", "a b", 'a"b', "a\\b", "state:held", "a*b", "(x)"])
def test_it_links_to_the_rows_that_it_counts(name: str) -> None:
    mine = a_delivery(domain=name)
    a_delivery(domain="other.test")
    query = QueryDict(open_for(name).partition("?")[2])
    assert [row.pk for row in page_of(query).items] == [mine.pk]
