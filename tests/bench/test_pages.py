from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from django.urls import resolve

from bench import ask_others, ask_pages, fill_pages
from bench.bench_pages import percentile
from docs import permissions
from queueapp.grammar import KEYS, parse
from queueapp.models import Delivery, Message, RecipientDomain
from queueapp.models.grouping import BY
from queueapp.models.orders import ORDERS


@pytest.mark.parametrize(
    ("values", "expected"), [([1.0], 1.0), ([3.0, 1.0, 2.0], 3.0), (list(range(100)), 94)]
)
def test_the_percentile_is_one_of_the_values(values: list[float], expected: float) -> None:
    assert percentile(values) == expected


def test_it_asks_for_every_key_order_and_group() -> None:
    asked = {term.key for q in ask_pages.SEARCHES for term in parse(q).terms}
    assert {*KEYS, "word"} <= asked
    assert set(ORDERS) - {"age", "-age"} == set(ask_pages.SORTS)  # which are the same as by id
    assert set(BY) == set(ask_pages.GROUPS)


def test_the_rows_are_the_same_each_time() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert list(fill_pages.pairs(50, 10, 1, now)) == list(fill_pages.pairs(50, 10, 1, now))


@pytest.mark.django_db(transaction=True)
def test_it_fills_a_queue_with_exact_counters() -> None:
    fill_pages.fill(300, 20)
    assert Delivery.objects.count() == 300
    assert Message.objects.count() == 250
    depth = RecipientDomain.objects.depth()
    assert sum(depth.values()) == 300
    assert depth["held"] == Delivery.objects.filter(state="held").count()
    _every_target_is_there()


def _every_target_is_there() -> None:
    """And none of the API's is missing."""
    targets = [path.partition("?")[0] for path in ask_others.targets().values()]
    for path in targets:
        resolve(path)
    for way in permissions.operations():
        route = re.escape(f"/api/v1{way.route}")
        asked = re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", route))
        is_left_out = way.method != "GET" or way.route in ask_others.LEFT_OUT
        assert is_left_out or any(asked.fullmatch(path) for path in targets), way.route
