from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from dashboard.filters import groups_of, page_of
from queueapp.grammar import parse
from queueapp.mail.gist import gist
from queueapp.models import grouping, searching
from queueapp.models.budget import Clock
from queueapp.models.grouping import BY, groups
from queueapp.models.searching import Search
from tests.models.rows import delivery
from tests.models.test_matching import NOW, VALUES, a_term, loaded, make_rows

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("by", BY)
def test_each_group_opens_what_it_counts(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For searches of every kind, by counters and by rows, also where the search names the group's key."""
    monkeypatch.setattr(grouping, "GROUP_TIME", None)
    chance = random.Random(by)
    make_rows(chance)
    loaded()
    for q in (
        "",
        "state:deferred state:held",
        *(a_term(chance, key) for key in chance.sample(list(VALUES), 4)),
    ):
        shared = groups_of({"q": q, "by": by}, NOW)
        assert shared.found.is_exact
        for group in chance.sample(shared.found.items, min(3, len(shared.found.items))):
            opened = shared.opened(group)
            if opened is None:
                assert by in ("tag", "campaign")
                continue
            page = page_of({"q": opened, "limit": 500}, NOW)
            assert page.error is None
            if by == "reply":  # replies that differ in what was taken out may hold this one's words, too
                assert page.count >= group.n, (q, opened)
            elif by not in ("tag", "campaign"):  # which ignore the case of letters, as searches do
                assert page.count == group.n, (q, opened)


def test_counters_and_rows_tell_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    make_rows(random.Random(7))
    loaded()
    for by in ("state", "domain", "site"):
        for q in ("", "state:held state:queued", "-state:held", "site:*", "-domain:*.example"):
            told = groups(Search(parse(q), NOW), by, None)
            with monkeypatch.context() as patched:
                patched.setattr(grouping, "_COUNTED", {})
                assert groups(Search(parse(q), NOW), by, None) == told, (by, q)


def test_it_counts_replies_without_what_varies() -> None:
    for n in range(3):
        delivery(f"{n}@one.example", last_code=450, last_enhanced="4.7.1", last_text=f"Greylisted for {n}0 s")
    delivery(last_text="connection refused")
    delivery()
    found = groups(Search(parse(""), NOW), "reply", None)
    assert [(each.name, each.n, each.terms) for each in found.items] == [
        ("450 4.7.1 Greylisted for … s", 3, "code:450 reason:Greylisted\\ for*s"),
        ("connection refused", 1, 'reason:"connection refused"'),
        ("no reply yet", 1, "-has:reply"),
    ]


def test_it_says_how_far_it_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_FIRST_SLICE", 2)
    monkeypatch.setattr(Clock, "next_size", lambda self, size: 0)
    rows = [delivery(f"{n}@one.example") for n in range(6)]
    found = groups(Search(parse("host:native"), NOW), "class", 1)
    assert (found.is_exact, found.reached_at) == (False, rows[3].accepted_at)
    assert 2 <= found.n_rows < 6


def test_it_shows_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MOST", 2)
    for n, domain in enumerate(("a.example", "b.example", "c.example")):
        for _ in range(n + 1):
            delivery(f"x@{domain}")
    found = groups(Search(parse(""), NOW), "domain", None)
    assert [(each.name, each.n) for each in found.items] == [("c.example", 3), ("b.example", 2)]
    assert (found.n_groups, found.n_rows) == (3, 6)


@pytest.mark.once
@pytest.mark.parametrize(
    ("reply", "parts"),
    [
        ("<ann@example.com>: mailbox full", ("mailbox full",)),
        ("Greylisted, try again in 300 seconds", ("Greylisted, try again in", "seconds")),
        ("client host [192.0.2.7] blocked using zen.example", ("client host", "blocked using zen.example")),
        ("2001:db8::1 is listed", ("is listed",)),
        ("queued as 4F3A2B", ("queued as",)),
        ("4.7.1 12345", ()),
        ("", ()),
        ("x" * 1000, ("x" * 160,)),
    ],
)
def test_the_gist_keeps_what_does_not_vary(reply: str, parts: tuple[str, ...]) -> None:
    assert gist(reply) == parts


def test_the_api_tells_groups_with_their_searches(client: Any, admin_user: Any) -> None:
    delivery("a@one.example", state="held")
    client.force_login(admin_user)
    told = client.get("/api/v1/deliveries/groups", {"by": "domain", "q": "state:held"}).json()
    assert told["items"] == [{"name": "one.example", "count": 1, "q": "state:held domain:one.example"}]
    assert (told["count"], told["n_groups"], told["count_is_exact"]) == (1, 1, True)
    assert client.get("/api/v1/deliveries/groups", {"by": "colour"}).status_code == 422
    assert client.get("/api/v1/deliveries/groups", {"by": "state", "q": "x:"}).status_code == 400
    assert Counter(client.get("/api/v1/deliveries/groups").json().keys())["error"] == 1
