"""What one more answer makes of a listing: two that agree confirm it, and two end it. Pure: changes the row
in memory and says what to note; asks nothing and saves nothing.

"Agree" is a second answer at least APART later, or the same from two name servers. An answer that fails never
moves a confirmed listing, until none has counted for GIVEN_UP.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from queueapp.models import Listing, ListingState
from queueapp.watch.blocklists.answer import Reading

APART = timedelta(minutes=2)
AGAIN = timedelta(minutes=3)
"""When a first answer that changes something is looked at a second time."""
EVERY = timedelta(hours=1)
GIVEN_UP = timedelta(days=1)
_SPREAD = 0.25
_FAILED = (ListingState.UNKNOWN, ListingState.ERROR)


@dataclass(frozen=True, slots=True)
class Turn:
    """What is noted in the history."""

    was: str
    state: str
    detail: str


def settle(listing: Listing, reading: Reading, now: datetime) -> Turn | None:
    """Apply `reading`; a Turn where something is confirmed that people have not been told."""
    listing.checked_at, listing.asked_at = now, None
    listing.error = reading.error[:500]
    holds = listing.state == ListingState.LISTED and listing.is_confirmed
    is_listed = reading.state == ListingState.LISTED
    if reading.state not in _FAILED:
        listing.answered_at = now
    if holds and not is_listed:
        return _doubt(listing, reading, now)
    listing.doubted_at = None
    turn = _agree(listing, reading, now) if reading.state == listing.state else _turn(listing, reading, now)
    _keep(listing, reading)
    listing.next_check_at = _next(now, is_soon=is_listed and not listing.is_confirmed)
    return turn


def _agree(listing: Listing, reading: Reading, now: datetime) -> Turn | None:
    if listing.is_confirmed or not (reading.n_servers > 1 or now - listing.since >= APART):
        return None
    return _confirm(listing, reading, now)


def _turn(listing: Listing, reading: Reading, now: datetime) -> Turn | None:
    listing.state, listing.since = reading.state, now
    listing.is_confirmed, listing.confirmed_at = False, None
    return _confirm(listing, reading, now) if reading.n_servers > 1 else None


def _confirm(listing: Listing, reading: Reading, now: datetime) -> Turn | None:
    listing.is_confirmed, listing.confirmed_at = True, now
    # What was told last stands in the history; time-outs come and go, and only what lists say is told.
    before, listing.told = listing.told, _told(listing.state, listing.told)
    is_first_clean = before == ListingState.UNKNOWN and listing.told == ListingState.CLEAN
    if listing.told == before or is_first_clean:
        return None
    return Turn(before, listing.told, _detail(reading))


def _told(state: str, before: str) -> str:
    return before if state == ListingState.UNKNOWN else state


def _doubt(listing: Listing, reading: Reading, now: datetime) -> Turn | None:
    """A confirmed listing, and an answer that says something else."""
    if reading.state in _FAILED:
        listing.next_check_at = _next(now)
        if now - (listing.answered_at or listing.since) < GIVEN_UP:
            return None
    elif reading.n_servers < 2 and not (listing.doubted_at and now - listing.doubted_at >= APART):
        listing.doubted_at = listing.doubted_at or now
        listing.next_check_at = _next(now, is_soon=True)
        return None
    listing.state, listing.since, listing.doubted_at = reading.state, listing.doubted_at or now, None
    _keep(listing, reading)
    listing.next_check_at = _next(now)
    return _confirm(listing, reading, now)


def _keep(listing: Listing, reading: Reading) -> None:
    listing.codes, listing.meaning, listing.severity = (
        list(reading.codes),
        reading.meaning[:500],
        reading.severity,
    )
    listing.reason = reading.reason[:1000]


def _detail(reading: Reading) -> str:
    return ": ".join(part for part in (reading.meaning or reading.error, reading.reason) if part)[:1000]


def _next(now: datetime, *, is_soon: bool = False) -> datetime:
    """Never sooner than the limits allow; a bit later at random, so that not all come at once."""
    spread = AGAIN if is_soon else EVERY
    return now + spread * (1 + _SPREAD * random.random())  # noqa: S311
