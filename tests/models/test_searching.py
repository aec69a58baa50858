"""Whatever way a search takes, it selects what the condition says; and it ends in time."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from django.db import connection

from queueapp.grammar import parse
from queueapp.models import Delivery, budget, narrowing, searching
from queueapp.models.budget import Clock, OutOfTime, at_most
from queueapp.models.counting import Counted, count_newer, count_of
from queueapp.models.matching import condition_of
from queueapp.models.searching import Search, Walk
from tests.models.rows import delivery
from tests.models.test_matching import NOW, VALUES, a_term, loaded, make_rows

pytestmark = pytest.mark.django_db


def everything(search: Search, order: str, limit: int) -> list[int]:
    """The ids of all pages."""
    found: list[int] = []
    mark: Any = None
    for _ in range(1000):
        page = searching.page(search, order, limit, mark, None)
        found += [row.pk for row in page.rows]
        mark = page.next
        if mark is None:
            return found
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize("small", [0, 8000])
@pytest.mark.parametrize("order", ["-id", "age", "next_attempt", "-next_attempt", "-attempts", "-size"])
def test_it_finds_what_the_condition_says_in_every_order(
    order: str, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrowing, "SMALL", small)
    monkeypatch.setattr(searching, "_FIRST_SLICE", 3)
    chance = random.Random(f"{order} {small}")
    make_rows(chance)
    loaded()
    for key in chance.sample(list(VALUES), 4):
        query = parse(" ".join(a_term(chance, each) for each in (key, chance.choice([*VALUES, key]))))
        search = Search(query, NOW)
        wanted = set(Delivery.objects.filter(condition_of(query, NOW)).values_list("id", flat=True))
        found = everything(search, order, chance.choice([2, 7, 50]))
        assert len(found) == len(set(found)), str(query)
        assert set(found) == wanted, str(query)
        assert count_of(search, None, None) == Counted(len(wanted)), str(query)
        assert count_of(search, 10_000, 60) == Counted(len(wanted)), str(query)


def test_it_takes_the_small_set_where_an_index_tells_of_one() -> None:
    delivery("a@one.example", state="held", message_id="x@y")
    for text in (
        "id:1", "msgid:x@y", "from:ann@example.com", "from:example.com", "from:<>", "domain:one.example",
        "to:a@one.example", "to:one.example", "state:held", "state:queued state:held", "class:busy",
        "is:ambiguous", "attempts>=5", "next<10m", "size>1MB", "subject:x state:held",
    ):  # fmt: skip
        assert Search(parse(text), NOW).small is not None, text
    for text in ("", "subject:x", "-state:held", "-from:ann@example.com", "age>2h", "attempts<5", "tag:x"):
        assert Search(parse(text), NOW).small is None, text


def test_a_large_set_is_walked() -> None:
    for _ in range(3):
        delivery("a@one.example", state="held")
    limit, narrowing.SMALL = narrowing.SMALL, 2
    try:
        for text in ("state:held", "domain:one.example", "from:example.com"):
            assert Search(parse(text), NOW).small is None, text
    finally:
        narrowing.SMALL = limit


def test_it_says_how_far_it_came_when_the_time_is_up_and_goes_on_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(searching, "_FIRST_SLICE", 2)
    monkeypatch.setattr(Clock, "next_size", lambda self, size: 0)  # as if each slice had used it up
    rows = [delivery(subject="found" if n == 0 else "other", size=100_000 + n) for n in range(8)]
    search = Search(parse("subject:found"), NOW)
    for order in ("-id", "-size"):
        page, n_pages = searching.page(search, order, 1, None, 1), 1
        assert page.is_cut
        assert not page.rows
        assert page.reached_at == (rows[5].accepted_at if order == "-id" else None)
        while page.next:
            page, n_pages = searching.page(search, order, 1, page.next, 1), n_pages + 1
            if page.rows:
                assert [row.pk for row in page.rows] == [rows[0].pk]
        assert n_pages >= 4
    assert not count_of(search, 10_000, 1).is_exact


def test_it_counts_what_is_newer_from_what_came_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_FIRST_SLICE", 2)
    rows = [delivery(subject="found" if n % 2 else "other") for n in range(8)]
    query = parse("subject:found")
    for n, row in enumerate(rows):
        wanted = sum(1 for each in range(n + 1, 8) if each % 2)
        assert count_newer(query, row.pk, 99, 60) == Counted(wanted), n
    assert count_newer(query, 0, 3, 60) == Counted(3, is_exact=False, is_capped=True)
    monkeypatch.setattr(Clock, "next_size", lambda self, size: 0)  # as if each slice had used it up
    cut = count_newer(query, 0, 99, 60)
    assert 0 < cut.n < 4
    assert not cut.is_exact
    assert count_newer(query, rows[-2].pk, 99, 60).n == 1


def test_it_shows_slices_without_a_clock_in_full() -> None:
    for n in range(5):
        delivery(f"{n}@example.net")
    seen: list[int] = []

    def look(each: searching.Slice) -> bool:
        seen.extend(each.rows.values_list("id", flat=True))
        return False

    walk = Walk(Search(parse("attempts:0"), NOW), "-id", first=1)
    walk.each(look)
    assert sorted(seen) == sorted(Delivery.objects.values_list("id", flat=True))
    assert not walk.is_cut


SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) "
    "SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}


def take_long() -> None:
    with at_most(0.05), connection.cursor() as cursor:
        cursor.execute(SLOW[connection.vendor])
        cursor.fetchall()


def test_it_ends_a_statement_that_takes_too_long_and_can_go_on() -> None:
    began = time.monotonic()
    with pytest.raises(OutOfTime):
        take_long()
    assert time.monotonic() - began < 30
    with at_most(30):
        assert Delivery.objects.count() == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_what_comes_behind_is_not_limited() -> None:
    with at_most(30):
        delivery()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("0",)
    assert Delivery.objects.count() == 1


@pytest.mark.once
def test_the_clock_grows_what_is_looked_at_only_as_far_as_time_allows() -> None:
    clock = Clock(60)
    assert clock.next_size(500) == 500 * budget._GROWTH
    assert Clock(None).next_size(10**6) == 10**6 * budget._GROWTH
    assert Clock(-1).next_size(500) == 0
