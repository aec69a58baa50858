"""Ask for a check of blocklists now, not at its hour: queueapp/watch/blocklists does it in the background.

A pair that was checked less than AGAIN ago, or is asked for already, is left alone: lists have limits, and
people have patience.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Max, Q
from django.utils import timezone

from queueapp.access.change import Actor, Missing, Taken, audited
from queueapp.models import Listing
from queueapp.models.listing import ListingQuerySet
from queueapp.watch.blocklists import news
from queueapp.watch.blocklists.lists import chosen

AGAIN = timedelta(minutes=5)


def check(actor: Actor, target: str = "", list_name: str = "") -> int:
    """Make checks due: of all, of a target, of a list, of one pair. Returns how many. Raises AccessError."""
    about = " on ".join(part for part in (target, list_name) if part) or "all"
    with audited(actor, "operate", "blocklists.check", about) as detail:
        if not chosen().lists:
            raise Taken(
                "No blocklist is asked: set MAILWEIR_BLOCKLISTS=yes, or names of lists, and start again."
            )
        now = timezone.now()
        listings = Listing.objects.current().filter(next_check_at__isnull=False)
        if target:
            listings = listings.filter(target=target.strip().lower())
        if list_name:
            listings = listings.filter(list_name=list_name)
        recent = Q(checked_at__gt=now - AGAIN) | Q(asked_at__gt=now - AGAIN)
        n = listings.exclude(recent).update(next_check_at=now, asked_at=now)
        if not n:
            raise _nothing(listings, about)
        detail["n"] = n
        news.tell()
    return n


def _nothing(listings: ListingQuerySet, about: str) -> Missing | Taken:
    last = listings.aggregate(checked=Max("checked_at"), asked=Max("asked_at"))
    at = max((each for each in last.values() if each), default=None)
    if at is None:
        return Missing(f"Nothing is checked of {about[:255]!r}.")
    return Taken(f"It was checked or asked for a moment ago. Again from {at + AGAIN:%H:%M:%S} UTC on.")
