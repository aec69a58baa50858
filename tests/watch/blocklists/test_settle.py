"""Two answers that agree: what one more answer makes of a listing, without DNS and without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from queueapp.models import Listing
from queueapp.watch.blocklists.answer import CLEAN, Reading, error, unknown
from queueapp.watch.blocklists.settle import AGAIN, EVERY, settle

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LISTED = Reading("listed", ("127.0.0.2",), "warning", "sent to spam traps", "see https://x.test")
ANSWERS = {"L": LISTED, "C": CLEAN, "?": unknown("no answer within 3 s"), "E": error("dead")}
STEP = timedelta(minutes=3)


def row() -> Listing:
    return Listing(list_name="psbl", target="45.67.89.10", kind="ip4", since=NOW)


def told(answers: str, listing: Listing, step: timedelta = STEP) -> str:
    """What is noted in the history for these answers, one a step: first letters."""
    noted = ""
    for n, letter in enumerate(answers):
        turn = settle(listing, ANSWERS[letter], NOW + n * step)
        noted += turn.state[0].upper() if turn else "."
    return noted


@pytest.mark.parametrize(
    ("answers", "noted"),
    [
        ("LL", ".L"),
        ("CC", ".."),
        ("L", "."),
        ("LCLCLC", "......"),  # it flaps: nothing is ever confirmed
        ("LLCC", ".L.C"),
        ("LLCLCLCC", ".L.....C"),  # one clean answer does not end it
        ("LL?E?L", ".L...."),  # what fails changes nothing
        ("L?L", "..."),  # nor does it count as an answer in between
        ("LLCCLL", ".L.C.L"),
        ("EE", ".E"),
        ("EECC", ".E.C"),
        ("????", "...."),
        ("LLEECC", ".L...C"),
    ],
)
def test_it_notes_what_two_answers_say(answers: str, noted: str) -> None:
    assert told(answers, row()) == noted


def test_a_second_answer_right_away_is_no_second_answer() -> None:
    listing = row()
    assert told("LLL", listing, timedelta(seconds=50)) == "..."
    assert not listing.is_confirmed
    assert told("LLLL", row(), timedelta(seconds=50)) == "...L"


def test_what_fails_stands_beside_a_listing_and_ends_it_after_a_day() -> None:
    listing = row()
    told("LL", listing)
    settle(listing, ANSWERS["?"], NOW + timedelta(hours=2))
    assert (listing.state, listing.is_confirmed, listing.error) == ("listed", True, "no answer within 3 s")
    settle(listing, ANSWERS["?"], NOW + timedelta(hours=26))
    assert (listing.state, listing.severity) == ("unknown", "")


def test_since_is_when_the_first_of_the_two_came() -> None:
    listing = row()
    told("CCLL", listing)
    assert listing.since == NOW + 2 * STEP
    told("CC", listing)
    assert (listing.state, listing.since) == ("clean", NOW)


def test_the_next_look_is_soon_where_something_is_open_and_else_in_an_hour() -> None:
    listing = row()
    for letter, least in (("C", EVERY), ("L", AGAIN), ("L", EVERY), ("C", AGAIN), ("?", EVERY), ("E", EVERY)):
        now = (listing.next_check_at or NOW) + STEP
        settle(listing, ANSWERS[letter], now)
        assert listing.next_check_at
        assert least <= listing.next_check_at - now <= 1.25 * least
