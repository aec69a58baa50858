"""Which pairs of list and target there are, and which are due: rows in the database, so that a restart asks
nothing anew and two machines never ask the same.

A pair is claimed by a conditional update that puts its next check off for LEASE; who dies meanwhile loses no
more than that. What is no longer ours, or chosen no more, stays for KEEP without counting.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F, Q

from queueapp.models import Listing, ListingChange, ListingState
from queueapp.models.listing import NAMED_FOR
from queueapp.watch.blocklists import news
from queueapp.watch.blocklists.lists import Blocklist
from queueapp.watch.blocklists.settle import EVERY
from queueapp.watch.blocklists.targets import Target

LEASE = timedelta(minutes=2)
LATER = timedelta(seconds=30)
FAR = 2 * EVERY
KEEP = timedelta(days=30)
KEEP_CHANGES = timedelta(days=365)
FIRST_WITHIN = timedelta(seconds=60)
_STEP = 500
NOT_ASKED = "Not asked: the list is not chosen, or the address is none that lists know."


def arrange(targets: Iterable[Target], lists: Iterable[Blocklist], now: datetime) -> int:
    """Make rows for new pairs, wake those that are back, let go of the rest. Returns how many are checked."""
    by_kind = [(each, set(each.kinds)) for each in lists]
    wanted = {
        (target.name, each.name): target.kind
        for target in targets
        for each, kinds in by_kind
        if target.kind in kinds
    }
    there = {
        (target, name): (pk, is_asked)
        for pk, target, name, is_asked in Listing.objects.annotate(
            is_asked=Q(is_current=True, next_check_at__isnull=False)
        ).values_list("pk", "target", "list_name", "is_asked")
    }
    new = [
        Listing(target=target, list_name=name, kind=kind, since=now, next_check_at=_soon(now))
        for (target, name), kind in wanted.items()
        if (target, name) not in there
    ]
    Listing.objects.bulk_create(new, batch_size=_STEP, ignore_conflicts=True)
    n = len(new) + _wake(
        [pk for pair, (pk, is_asked) in there.items() if pair in wanted and not is_asked], now
    )
    n += _rest([pk for pair, (pk, _) in there.items() if pair not in wanted], now)
    if n:
        news.tell()
    _remove(now)
    return len(wanted)


def claim(now: datetime, most: int) -> list[Listing]:
    """Some that are due, each for this caller alone."""
    claimed = []
    for row in Listing.objects.due(now, FAR)[:most]:
        ours = Listing.objects.filter(pk=row.pk, next_check_at=row.next_check_at)
        if ours.update(next_check_at=now + LEASE):
            claimed.append(row)
    return claimed


def give_back(listings: Iterable[Listing], now: datetime) -> None:
    """Not asked in time: they are due again soon, behind those that answer."""
    left = Listing.objects.filter(pk__in=[each.pk for each in listings], next_check_at__isnull=False)
    left.update(next_check_at=now + LATER)


def _soon(now: datetime) -> datetime:
    return now + FIRST_WITHIN * random.random()  # noqa: S311


def _wake(ids: list[int], now: datetime) -> int:
    """What was checked a while ago is known still, and not asked again before its hour."""
    fresh = Q(checked_at__gt=now - FAR)
    for start in range(0, len(ids), _STEP):
        listings = Listing.objects.filter(pk__in=ids[start : start + _STEP])
        listings.exclude(fresh).update(
            is_current=True, next_check_at=now, state=ListingState.UNKNOWN, is_confirmed=False, since=now,
            doubted_at=None, error="",
        )  # fmt: skip
        listings.filter(fresh).update(is_current=True, next_check_at=F("checked_at") + EVERY)
    return len(ids)


def _rest(ids: list[int], now: datetime) -> int:
    """A list that a receiver has just named is shown even if nobody asks it. Returns how many changed."""
    n, named = 0, Q(named_at__gt=now - NAMED_FOR)
    for start in range(0, len(ids), _STEP):
        listings = Listing.objects.filter(pk__in=ids[start : start + _STEP])
        n += listings.filter(named, next_check_at__isnull=False).update(
            next_check_at=None, asked_at=None, state=ListingState.UNKNOWN, is_confirmed=False, since=now,
            error=NOT_ASKED,
        )  # fmt: skip
        gone = listings.exclude(named).filter(is_current=True)
        n += gone.update(is_current=False, next_check_at=None, asked_at=None)
    return n


def _remove(now: datetime) -> None:
    old = Listing.objects.filter(is_current=False, since__lt=now - KEEP)
    old = old.filter(Q(checked_at__isnull=True) | Q(checked_at__lt=now - KEEP))
    for model, rows in (
        (Listing, old),
        (ListingChange, ListingChange.objects.filter(at__lt=now - KEEP_CHANGES)),
    ):
        if ids := list(rows.values_list("pk", flat=True)[:_STEP]):
            model._default_manager.filter(pk__in=ids).delete()
