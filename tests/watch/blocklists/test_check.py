"""Checks against a DNS server of the test's own: what each kind of answer is read as, and when it counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from queueapp.models import BlocklistTest, Listing, ListingChange
from queueapp.watch.blocklists import due, run
from queueapp.watch.blocklists.lists import LISTS
from tests.watch.blocklists.zones import OURS, OURS6, a_source, asking, checked, listed, one, unlisted

pytestmark = pytest.mark.django_db
PSBL = LISTS["psbl"].zone
ZEN = LISTS["spamhaus-zen"].zone
NOW = timezone.now()
MINUTES = timedelta(minutes=1)


def test_it_works() -> None:
    a_source()
    with asking("psbl") as server:
        listed(server, PSBL, OURS, text="Listed. See https://psbl.example/")
        row = checked(NOW)
        assert (row.state, row.is_confirmed, row.since) == ("listed", False, NOW)
        assert (row.codes, row.severity, row.reason) == (
            ["127.0.0.2"],
            "warning",
            "Listed. See https://psbl.example/",
        )
        assert not Listing.objects.confirmed()
        row = checked(NOW, later=4 * MINUTES)
        assert row.is_confirmed
        assert list(Listing.objects.confirmed()) == [row]
        turn = ListingChange.objects.get()
        assert (turn.was, turn.state, turn.detail) == (
            "unknown", "listed", "sent to spam traps: Listed. See https://psbl.example/",
        )  # fmt: skip


@pytest.mark.once
def test_it_says_clean() -> None:
    a_source()
    with asking("psbl"):
        row = checked(NOW)
    assert (row.state, row.codes, row.error) == ("clean", [], "")
    assert not ListingChange.objects.exists()


@pytest.mark.once
def test_it_asks_for_ipv6() -> None:
    a_source(OURS6)
    with asking("spamhaus-zen") as server:
        listed(server, ZEN, OURS6, "127.0.0.3")
        row = checked(NOW)
    assert (row.kind, row.state, row.severity) == ("ip6", "listed", "danger")
    assert row.meaning.startswith("CSS")


@pytest.mark.once
@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("127.255.255.252", "misspelt"),
        ("127.255.255.254", "public resolver"),
        ("127.255.255.255", "too many questions"),
        ("127.255.255.7", "question is wrong"),
        ("127.0.0.1", "refuse"),
        ("93.184.216.34", "no answer of a blocklist"),
    ],
)
def test_it_takes_no_error_for_a_listing(code: str, says: str) -> None:
    a_source()
    with asking("spamhaus-zen") as server:
        listed(server, ZEN, OURS, code)
        row = checked(NOW)
    assert (row.state, row.is_confirmed, row.codes) == ("error", False, [code])
    assert says in row.error


@pytest.mark.once
def test_it_believes_no_list_that_lists_everything() -> None:
    a_source()
    with asking("psbl") as server:
        server.records[f"*.{PSBL}"] = {"A": ["127.0.0.2"]}
        row = checked(NOW)
    assert row.state == "error"
    assert "perhaps everything" in row.error
    assert BlocklistTest.objects.get().result == "error"


@pytest.mark.once
def test_it_believes_no_list_that_is_dead() -> None:
    a_source()
    with asking("psbl") as server:
        unlisted(server, PSBL, "127.0.0.2")
        row = checked(NOW)
    assert row.state == "error"
    assert "dead" in row.error
    assert server.count(f"10.89.67.45.{PSBL}", "A") == 0


@pytest.mark.once
@pytest.mark.parametrize(
    ("behaviour", "says"), [("servfail", "SERVFAIL"), ("refused", "REFUSED"), ("hang", "no answer")]
)
def test_it_knows_nothing_without_an_answer(behaviour: str, says: str) -> None:
    a_source()
    with asking("psbl", timeout=1.0 if behaviour == "hang" else 20.0) as server:
        server.records[f"10.89.67.45.{PSBL}"] = behaviour
        row = checked(NOW)
    assert row.state == "unknown"
    assert says in row.error


def test_it_tests_a_list_again_before_it_believes_something_new() -> None:
    a_source()
    with asking("psbl") as server:
        assert checked(NOW).state == "clean"
        server.records[f"*.{PSBL}"] = {"A": ["127.0.0.2"]}  # the domain was sold since
        Listing.objects.update(next_check_at=NOW)
        assert checked(NOW + 61 * MINUTES).state == "error"


def test_it_confirms_at_once_by_two_name_servers() -> None:
    a_source()
    with asking("psbl", servers=2) as server:
        listed(server, PSBL, OURS)
        assert checked(NOW).is_confirmed
        assert server.other.count(f"10.89.67.45.{PSBL}", "A") == 1  # type: ignore[attr-defined]
        unlisted(server, PSBL, OURS)
        Listing.objects.update(next_check_at=NOW)
        assert checked(NOW + 61 * MINUTES).state == "clean"
    assert [turn.state for turn in ListingChange.objects.order_by("pk")] == ["listed", "clean"]


@pytest.mark.once
def test_a_name_server_that_is_refused_does_not_hide_one_that_is_answered() -> None:
    a_source()
    with asking("spamhaus-zen", servers=2) as server:
        server.other.records = dict(server.records)  # type: ignore[attr-defined]
        listed(server.other, ZEN, OURS, "127.0.0.3")  # type: ignore[attr-defined]
        server.records[f"*.{ZEN}"] = {"A": ["127.255.255.254"]}
        server.records.pop(f"2.0.0.127.{ZEN}")
        row = checked(NOW)
    assert (row.state, row.is_confirmed) == ("listed", False)


def test_one_round_arranges_and_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_arranged_at", 0.0)
    monkeypatch.setattr(due, "FIRST_WITHIN", timedelta(0))
    for n in range(30):  # more than a batch
        a_source(f"45.67.89.{n + 1}")
    with asking("psbl"):
        assert run.check() == 30
        assert run.check() == 0
    assert set(Listing.objects.values_list("state", flat=True)) == {"clean"}


def test_it_needs_two_clean_answers_to_end_a_listing() -> None:
    a_source()
    with asking("psbl") as server:
        listed(server, PSBL, OURS)
        checked(NOW)
        assert checked(NOW, later=4 * MINUTES).is_confirmed
        unlisted(server, PSBL, OURS)
        row = checked(NOW, later=80 * MINUTES)
        assert (row.state, row.is_confirmed, row.doubted_at) == ("listed", True, NOW + 80 * MINUTES)
        row = checked(NOW, later=84 * MINUTES)
        assert (row.state, row.since, row.severity) == ("clean", NOW + 80 * MINUTES, "")
    assert not Listing.objects.confirmed()


def test_it_asks_each_pair_once_an_hour() -> None:
    a_source()
    with asking("psbl") as server:
        checked(NOW)
        for minutes in (1, 20, 59):
            assert run.batch(NOW + minutes * MINUTES) == 0
        assert run.batch(NOW + 76 * MINUTES) == 1
        assert server.count(f"10.89.67.45.{PSBL}", "A") == 2


def test_it_gives_back_what_there_was_no_time_for() -> None:
    for n in range(8):
        a_source(f"45.67.89.{n + 1}")
    with asking("psbl") as server:
        server.records[f"*.{PSBL}"] = "hang"
        run.arrange()
        Listing.objects.update(next_check_at=NOW)
        assert run.batch(NOW, within=0.2) == 0
    assert Listing.objects.filter(next_check_at=NOW + due.LATER, checked_at__isnull=True).count() == 8


def test_it_checks_no_more_when_it_is_off() -> None:
    a_source()
    with asking("psbl"):
        checked(NOW)
    run.arrange()
    row = one()
    assert not row.is_current
    assert run.batch(NOW + 120 * MINUTES) == 0
