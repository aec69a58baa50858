from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from queueapp.management.columns import width_of
from tests.management.calls import manage
from tests.models.rows import delivery

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def test_it_counts() -> None:
    delivery("a@one.example", state="held")
    delivery("b@two.example", state="deferred")
    assert manage("queue", "count").out == "2\n"
    assert manage("queue", "count", "state:held").out == "1\n"
    assert manage("queue", "count", "state:held", "domain:two.example").out == "0\n"
    assert json.loads(manage("queue", "count", "--json", "state:held").out) == {"count": 1}


def test_it_lists_in_columns_newest_first() -> None:
    now = timezone.now()
    first = delivery(
        "bob@example.net", state="deferred", n_attempts=3, accepted_at=now - timedelta(hours=5),
        next_attempt_at=now + timedelta(minutes=12, seconds=30), last_code=450, last_enhanced="4.7.1",
        last_text="try later",
    )  # fmt: skip
    last = delivery("eve@example.org", sender="", state="delivered")
    head, one, two = manage("queue", "list").out.splitlines()
    assert head.split() == ["ID", "STATE", "AGE", "NEXT", "TRIES", "FROM", "TO", "LAST", "REPLY"]
    assert one.split()[:2] == [str(last.pk), "delivered"]
    assert "<>" in one
    assert two.split() == [
        str(first.pk), "deferred", "5h", "12m", "3", "ann@example.com", "bob@example.net", "450", "4.7.1",
        "try", "later",
    ]  # fmt: skip
    assert head.index("STATE") == one.index("delivered") == two.index("deferred")


def test_it_fits_the_terminal_and_shows_nothing_that_steers_it() -> None:
    delivery(
        "x" * 60 + "@example.net", last_text="\x1b[2J" + "y" * 900, sender="日本語" * 10 + "@example.com"
    )
    out = manage("queue", "list").out
    assert "\x1b" not in out
    assert max(width_of(line) for line in out.splitlines()) <= 100


def test_it_gives_programs_everything() -> None:
    row = delivery("bob@example.net", subject="Hi", tags=["a"], last_text="y" * 900)
    told = json.loads(manage("queue", "list", "--json").out)
    assert (told["id"], told["recipient"], told["domain"]) == (row.pk, "bob@example.net", "example.net")
    assert (told["sender"], told["subject"], told["tags"]) == ("ann@example.com", "Hi", ["a"])
    assert told["last_text"] == "y" * 900
    assert {field.attname for field in row._meta.concrete_fields} <= told.keys() | {"domain_id"}


def test_it_stops_at_the_limit_and_says_so() -> None:
    for n in range(5):
        delivery(f"{n}@example.net")
    done = manage("queue", "list", "--limit", "2")
    assert len(done.out.splitlines()) == 3
    assert done.err == "2 of 5 shown; --limit 0 shows all.\n"
    assert len(manage("queue", "list", "--limit=0").out.splitlines()) == 6
    assert len(manage("queue", "list", "--limit", "2", "--json").out.splitlines()) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("-state:held",),
        ("domain:one.example", "-state:held"),
        ("-state:held", "--json", "domain:one.example"),
        ("--limit", "9", "-state:held domain:one.example"),
        ("--", "-state:held"),
    ],
)
def test_it_takes_excluded_terms_in_any_place(arguments: tuple[str, ...]) -> None:
    delivery("a@one.example", state="held")
    delivery("b@one.example", state="queued")
    done = manage("queue", "list", *arguments)
    assert (done.code, done.err) == (0, "")
    assert "b@one.example" in done.out
    assert "a@one.example" not in done.out


def test_it_says_when_there_is_nothing() -> None:
    assert manage("queue", "list").out == "Nothing matches.\n"
    assert manage("queue", "list", "--json").out == ""


def test_it_shows_a_mistake_with_a_caret() -> None:
    done = manage("queue", "count", "domain:x", "state:defered")
    assert done.code == 2
    assert done.out == ""
    message, query, caret, hint = done.err.splitlines()
    assert "unknown state 'defered'" in message
    assert query == "  domain:x state:defered"
    assert caret == "                 ^^^^^^^"
    assert "deferred" in hint


def test_it_shows_the_place_in_a_long_search() -> None:
    done = manage("queue", "count", "x " * 40 + "state:defered")
    _, query, caret, _ = done.err.splitlines()
    assert query[caret.index("^") :].startswith("defered")
    assert len(query) < 130


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "usage"),
        (("lists",), "invalid choice"),
        (("list", "--limit", "-1"), "not allowed"),
        (("list", "--limit", "x"), "invalid int"),
        (("list", "--colour"), "unrecognized"),
        (("count", "a\0b"), "invisible or control"),
        (("count", "\udcff"), "invisible or control"),
        (("count", "x" * 3000), "longer than 2000"),
    ],
)
def test_it_refuses_wrong_usage_in_one_go(arguments: tuple[str, ...], text: str) -> None:
    done: Any = manage("queue", *arguments)
    assert done.code == 2
    assert text in done.err
    assert "Traceback" not in done.err
