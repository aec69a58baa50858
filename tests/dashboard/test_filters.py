from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from dashboard import filters
from dashboard.filters import Page, page_of
from dashboard.snapshot import board
from queueapp.models import Delivery
from queueapp.models.message import LARGE
from tests.models.rows import delivery

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def walk(order: str, limit: int, q: str = "") -> list[int]:
    """The ids of all pages, in order."""
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = page_of({"q": q, "order": order, "limit": limit, "cursor": cursor}, NOW)
        assert page.error is None, page.error
        assert len(page.items) <= limit
        found += [row.pk for row in page.items]
        cursor = page.next
    return found


def some_rows() -> list[Delivery]:
    later = [None, 5, 1, 5, None, 3, 5, None, 0]
    tries = [0, 5, 1, 2, 5, 5, 0, 3, 1]
    sizes = [1, 99_999, 100_000, 5_000_000, 200_000, 7, 100_000, 8, 200_000]
    return [
        delivery(
            f"{n}@example.net",
            size=sizes[n],
            n_attempts=tries[n],
            next_attempt_at=None if at is None else NOW + timedelta(hours=at),
        )
        for n, at in enumerate(later)
    ]


def test_it_gives_the_newest_first_with_message_and_domain(django_assert_num_queries: Any) -> None:
    rows = some_rows()
    with django_assert_num_queries(3):  # the first and the last id, the rows; the page tells the count
        page = page_of({})
        shown = [(row.message.sender, row.domain.name) for row in page.items]
    assert [row.pk for row in page.items] == [row.pk for row in reversed(rows)]
    assert set(shown) == {("ann@example.com", "example.net")}
    assert (page.next, page.count, page.count_is_exact, page.error) == (None, 9, True, None)


@pytest.mark.parametrize("limit", [1, 2, 4, 8, 9, 500])
@pytest.mark.parametrize("order", filters.ORDERS)
def test_it_shows_every_row_once_whatever_the_page_size(order: str, limit: int) -> None:
    rows = some_rows()
    found = walk(order, limit)
    assert sorted(found) == [row.pk for row in rows]
    assert found == expected(rows, order)


def expected(rows: list[Delivery], order: str) -> list[int]:
    ids = [row.pk for row in rows]
    if order in ("id", "age"):
        return ids
    newest = list(reversed(rows))
    if order in ("-id", "-age"):
        return [row.pk for row in newest]
    if order == "-attempts":
        often = sorted((row for row in newest if row.n_attempts >= 2), key=lambda row: -row.n_attempts)
        return [row.pk for row in often] + [row.pk for row in newest if row.n_attempts < 2]
    if order == "-size":
        large = sorted(
            (row for row in newest if row.message.size >= LARGE), key=lambda row: -row.message.size
        )
        return [row.pk for row in large] + [row.pk for row in newest if row.message.size < LARGE]
    due = sorted((row for row in newest if row.next_attempt_at), key=lambda row: row.next_attempt_at)
    if order == "-next_attempt":
        due.sort(key=lambda row: row.next_attempt_at, reverse=True)
    return [row.pk for row in due] + [row.pk for row in newest if row.next_attempt_at is None]


@pytest.mark.parametrize("order", ["-id", "next_attempt"])
def test_it_neither_repeats_nor_skips_when_rows_come_and_go(order: str) -> None:
    some_rows()
    first = page_of({"order": order, "limit": 4}, NOW)
    seen = [row.pk for row in first.items]
    all_before = walk(order, 500)
    delivery("new@example.net", next_attempt_at=NOW)
    Delivery.objects.filter(pk=seen[-1]).delete()
    second = page_of({"order": order, "limit": 4, "cursor": first.next}, NOW)
    assert [row.pk for row in second.items] == all_before[4:8]


def test_it_searches() -> None:
    delivery("a@one.example", state="held")
    delivery("b@two.example")
    page = page_of({"q": "state:held"})
    assert [row.recipient for row in page.items] == ["a@one.example"]
    assert page.count == 1
    assert str(page.query) == "state:held"


def test_it_says_when_the_count_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "CAP", 3)
    some_rows()
    cut = page_of({"q": "host:native", "limit": 2})
    assert (cut.count, cut.count_is_exact, len(cut.items)) == (3, False, 2)
    counted = page_of({"q": "state:queued domain:example.net", "limit": 2})
    assert (counted.count, counted.count_is_exact) == (9, True)


def test_it_tells_a_mistake_in_the_search_with_its_place() -> None:
    error = page_of({"q": "domain:x state:defered"}).error
    assert error is not None
    assert (error.field, error.position, error.length) == ("q", 15, 7)
    assert "defered" in error.text
    assert "deferred" in error.hint


def wrong_cursors() -> list[Any]:
    def made(parts: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()

    return [
        "x", "ü", "a\0b", "====", "x" * 100_000, "W" * 600, made([]), made({}), made(["-id", None]),
        made(["id", None, 5]), made(["-id", None, "5"]), made(["-id", None, -1]), made(["-id", None, 2**63]),
        made(["-id", None, True]), made(["-id", 5, 5]), made(["-id", "\0", 5]), made([["-id"], None, 5]),
        base64.urlsafe_b64encode(b"[" * 400).decode(),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("order", value) for value in ("subject", "id; DROP", "-age ", "\0", "x" * 10_000)],
        *[("limit", value) for value in (-1, 501, "x", "1e2", "٣", "9" * 5000, "1.5", True)],
        *[("cursor", value) for value in wrong_cursors()],
    ],
)
def test_it_refuses_what_is_not_on_the_list(field: str, value: Any) -> None:
    some_rows()
    page: Page[Delivery] = page_of({field: value})
    assert page.error is not None
    assert page.error.field == field
    assert len(page.error.text) < 300
    assert page.items == []


@pytest.mark.parametrize(
    "at", ["now", "2026-01-01", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+00:00"]
)
def test_it_refuses_a_cursor_with_a_wrong_time(at: str) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(["next_attempt", at, 1]).encode()).decode()
    error = page_of({"order": "next_attempt", "cursor": cursor}).error
    assert error is not None
    assert error.field == "cursor"


# ── Domains ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_it_pages_through_domains(limit: int) -> None:
    for n, name in enumerate(["c.example", "a.example", "b.example"]):
        for _ in range(1 if n < 2 else 2):
            delivery(f"x@{name}", state="deferred")
    delivery("x@d.example", state="delivered")

    def names(order: str) -> list[str]:
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = board.page("domain", {"order": order, "limit": limit, "cursor": cursor}, state="all")
            assert page.count == 4
            found += [row["name"] for row in page.rows]
            cursor = page.next
        return found

    assert names("open") == ["b.example", "c.example", "a.example", "d.example"]  # equals: first met first
    assert names("name") == ["a.example", "b.example", "c.example", "d.example"]


def test_it_searches_domains_by_a_part_of_the_name() -> None:
    for name in ("mail.example", "post.example", "m%il.example"):
        delivery(f"x@{name}")
    assert [row["name"] for row in board.page("domain", {"q": "MAIL"}, state="all").rows] == ["mail.example"]
    assert board.page("domain", {"q": "%"}, state="all").count == 1
    assert board.page("domain", {"q": "\0"}).error is None


@pytest.mark.parametrize(("field", "value"), [("order", "size"), ("limit", 0.5), ("cursor", "x")])
def test_it_refuses_wrong_parameters_of_domains(field: str, value: Any) -> None:
    error = board.page("domain", {field: value}).error
    assert error is not None
    assert error.field == field
