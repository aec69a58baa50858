"""The board: states of each kind, figures of what the engine did, pages that neither skip nor repeat."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from dashboard.snapshot import board
from dashboard.snapshot.paging import ORDERS
from queueapp.models import (
    Attempt,
    Delivery,
    DomainFigures,
    RecipientDomain,
    Site,
    SiteFigures,
    Suspension,
)
from queueapp.models.board import STATES
from queueapp.stats import ages, outcomes, refresh
from tests.dashboard.rows import a_delivery, a_domain, a_site, now
from tests.engine.queue import DEFERRED, DELIVERED, NO_USER, claimed, put, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
SOON = timedelta(minutes=5)
LONG = timedelta(hours=3)


def states(kind: str = "domain") -> dict[str, str]:
    return {row["name"]: row["state"] for row in board.page(kind, {"state": "all"}, now()).rows}


def one_of_each() -> dict[str, str]:
    """Name to state, of domains that are each alone at a site of the same name."""

    def at_site(name: str, **values: Any) -> Site:
        return a_site(name, **values)

    at = now()
    off = {"backoff_class": "connection", "backoff_reply": "refused", "n_failures": 3}
    a_domain("flowing.test", n_sending=1, site=at_site("flowing.test"))
    a_domain("waiting.test", n_deferred=1, due_at=at + SOON, site=at_site("waiting.test"))
    a_domain("held.test", n_held=1, site=at_site("held.test"))
    a_domain("idle.test", n_delivered=1, site=at_site("idle.test"))
    a_domain("suspended.test", n_queued=1, suspended_at=at - SOON, site=at_site("suspended.test"))
    stopped = at_site("stopped.test", suspended_at=at - SOON, suspended_reason="they move")
    a_domain("stopped.test", n_queued=1, site=stopped)
    back = at_site("back.test", backoff_since=at - SOON, backoff_until=at + SOON, **off)
    a_domain("back.test", n_deferred=1, site=back)
    dead = at_site("dead.test", backoff_since=at - LONG, backoff_until=at - SOON, **off)
    a_domain("dead.test", n_deferred=1, site=dead)
    paced = at_site("paced.test", next_at=at + SOON, rate="1/h")
    a_domain("paced.test", n_queued=1, site=paced)
    told = a_domain("told.test", n_deferred=1, due_at=at + SOON, site=at_site("told.test"))
    said = {"outcomes": "ddw", "error_class": "rate_limited", "error_reply": "421 slow down", "error_at": at}
    DomainFigures.objects.create(domain=told, **said)
    SiteFigures.objects.create(site=told.site, **said)
    blocked = a_domain("blocked.test", n_deferred=1, due_at=at + SOON, site=at_site("blocked.test"))
    Suspension.objects.create(
        site=blocked.site, reply_class="blocklisted", reply="554 no", since=at - SOON, until=at + SOON
    )
    return {
        "flowing.test": "flowing", "waiting.test": "waiting", "held.test": "held", "idle.test": "idle",
        "suspended.test": "suspended", "stopped.test": "suspended", "back.test": "backing_off",
        "dead.test": "dead",
        "paced.test": "throttled", "told.test": "throttled", "blocked.test": "suspended",
    }  # fmt: skip


def test_it_tells_each_state_of_domains_and_of_sites() -> None:
    wanted = one_of_each()
    assert set(wanted.values()) == set(STATES)
    assert states("domain") == wanted
    assert states("site") == wanted


@pytest.mark.parametrize("kind", ["domain", "site"])
def test_it_filters_by_each_state(kind: str) -> None:
    wanted = one_of_each()
    for state in STATES:
        found = board.page(kind, {"state": state}, now())
        names = {name for name, each in wanted.items() if each == state}
        assert ({row["name"] for row in found.rows}, found.count) == (names, len(names))
    stuck = board.page(kind, {"state": "stuck"}, now()).rows
    assert {row["name"] for row in stuck} == {
        "suspended.test", "stopped.test", "back.test", "dead.test", "blocked.test",
    }  # fmt: skip
    assert "idle.test" not in {row["name"] for row in board.page(kind, {}, now()).rows}
    assert [row["name"] for row in board.page(kind, {"q": "DEA"}, now()).rows] == ["dead.test"]


def test_it_tells_why_since_when_and_what_comes_next() -> None:
    one_of_each()
    rows = {row["name"]: row for row in board.page("domain", {}, now()).rows}
    assert rows["back.test"]["cause"].startswith("No connection to the receiving server")
    assert (rows["back.test"]["reply"], rows["back.test"]["reply_class"]) == ("refused", "connection")
    assert rows["back.test"]["since"] < now() < rows["back.test"]["next_at"]
    assert rows["dead.test"]["next_at"] is None  # it is tried now
    assert rows["blocked.test"]["reply"] == "554 no"
    assert rows["blocked.test"]["next_at"] > now()
    assert (rows["suspended.test"]["cause"], rows["suspended.test"]["next_at"]) == (
        "Suspended by a person.", None,
    )  # fmt: skip
    assert rows["stopped.test"]["cause"] == "Its site is suspended: they move"
    assert rows["stopped.test"]["is_suspended"] is False  # not by itself
    of_site = {row["name"]: row for row in board.page("site", {}, now()).rows}["stopped.test"]
    assert (of_site["cause"], of_site["is_suspended"]) == ("they move", True)
    assert of_site["since"] < now()
    assert rows["told.test"]["reply"] == "421 slow down"
    assert "rate that is set" in rows["paced.test"]["cause"]
    assert rows["flowing.test"]["cause"] == ""


def test_a_block_is_over_where_mail_arrives_all_the_same() -> None:
    """By another source: then the site is not suspended, only one of the sources is."""
    row = a_domain("blocked.test", n_deferred=1, due_at=now() + SOON, site=a_site())
    Suspension.objects.create(
        site=row.site, reply_class="blocklisted", since=now() - SOON, until=now() + SOON
    )
    DomainFigures.objects.create(domain=row, delivered_at=now())
    assert states() == {"blocked.test": "waiting"}


def test_its_figures_are_those_of_what_the_engine_did() -> None:
    put(*(f"r{n}@a.test" for n in range(6)))
    site = a_site("example.net", max_sessions=7)
    RecipientDomain.objects.update(site=site)
    runner, rows = claimed()
    record(runner, rows[:3], DELIVERED)
    record(runner, rows[3:5], DEFERRED)
    record(runner, rows[5:], NO_USER)
    outcomes.roll(Attempt.objects.order_by("-pk")[0].pk)
    refresh.refresh()
    # The report to the sender of what bounced is open, too.
    for kind, name in (("domain", "a.test"), ("site", "example.net")):
        [row] = board.page(kind, {"q": name}, now()).rows
        assert (row["n_open"], row["n_deferred"], row["n_waiting"]) == (2, 2, 2)
        assert sum(row["ages"]) == Delivery.objects.filter(state="deferred").count()
        assert row["outcomes"] == "dddwwb"
        assert row["outcomes_text"] == "3 delivered · 2 deferred · 1 bounced"
        assert row["reply"] == "451 4.3.0 later"
        assert (row["sessions"], row["max_sessions"]) == (0, 7)
        assert row["median_s"] is not None


def test_it_tells_the_reply_before_the_figures_know_it() -> None:
    a_delivery(state="deferred", last_class="mailbox_full", last_code=452, last_text="Full")
    [row] = board.page("domain", {}, now()).rows
    assert (row["cause"], row["reply"]) == ("The recipient's mailbox is full.", "452 Full")


def test_ages_are_in_the_buckets_that_people_know() -> None:
    at = now()
    for minutes in (0, 4, 6, 70, 3000):
        a_delivery(state="deferred", accepted_at=at - timedelta(minutes=minutes))
    a_delivery(state="delivered", accepted_at=at)
    [row] = board.page("domain", {}, at).rows
    assert row["ages"] == [2, 1, 0, 0, 1, 0, 0, 0, 0, 1]
    assert row["ages_at"] is None


def test_many_are_counted_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ages, "AT_ONCE", 1)
    at = now()
    site = a_site()
    a_domain("example.com", site=site)
    for minutes in (0, 6):
        a_delivery(state="deferred", accepted_at=at - timedelta(minutes=minutes))
    assert board.page("domain", {}, at).rows[0]["ages"] is None
    assert ages.look(at) == 2
    assert ages.look(at) == 0  # too early for another pass
    for kind in ("domain", "site"):
        [row] = board.page(kind, {}, at + SOON).rows
        assert row["ages"] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
        assert row["ages_at"] == at


@pytest.mark.parametrize("kind", ["domain", "site"])
@pytest.mark.parametrize("order", ORDERS)
def test_pages_neither_skip_nor_repeat(kind: str, order: str) -> None:
    for n in range(7):
        site = a_site(f"s{n}.test")
        row = a_domain(
            f"d{n}.test", n_deferred=n % 3 + 1, site=site, due_at=now() + n % 2 * SOON if n else None
        )
        if n % 2:
            DomainFigures.objects.create(domain=row, per_minute=n % 3, p95_s=n)
            SiteFigures.objects.create(site=site, per_minute=n % 3, p95_s=n)
    whole = [row["name"] for row in board.page(kind, {"order": order}).rows]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = board.page(kind, {"order": order, "limit": 2, "cursor": cursor})
        assert page.error is None
        assert page.count == 7
        seen += [row["name"] for row in page.rows]
        cursor = page.next
    assert seen == whole
    assert set(Counter(seen).values()) == {1}


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"order": "colour"}, "order"), ({"state": "sad"}, "state"), ({"limit": "0"}, "limit"),
        ({"limit": "9999"}, "limit"), ({"cursor": "x"}, "cursor"), ({"cursor": "WyJvcGVuIl0"}, "cursor"),
        ({"cursor": "\u00fc"}, "cursor"), ({"order": "next", "cursor": "WyJuZXh0IiwieCIsMV0"}, "cursor"),
        ({"order": "name", "cursor": "WyJvcGVuIiwxLDFd"}, "cursor"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_named(params: dict[str, str], field: str) -> None:
    found = board.page("domain", params)
    assert found.error is not None
    assert found.error.field == field


def test_a_page_costs_the_same_for_one_row_and_for_fifty(django_assert_max_num_queries: Any) -> None:
    for n in range(60):
        a_delivery(domain=f"d{n}.test", state="deferred", last_class="busy")
    RecipientDomain.objects.update(site=a_site())
    for kind in ("domain", "site"):
        with django_assert_max_num_queries(8):
            board.page(kind, {}, now())
