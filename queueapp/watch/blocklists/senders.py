"""Which domains sent of late: read from the messages that came since the last look, and kept in a bookmark.

Bounded steps by the primary key, so a million messages cost no more than a thousand. A message that another
transaction commits behind the mark is missed; its domain is seen again with the next one.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Max
from django.utils import timezone

from queueapp.models import Bookmark, Message

NAME = "blocklists.senders"
DAYS = 7
STEP = 50_000
MOST = 1000


def look() -> int:
    """Returns how many domains are known; what is left of a long backlog waits for the next look."""
    mark, _ = Bookmark.objects.get_or_create(pk=NAME)
    last = Message.objects.aggregate(last=Max("pk"))["last"] or 0
    # After a start, or a long rest, the newest ones say enough.
    start = max(mark.number, last - STEP)
    rows = Message.objects.filter(pk__gt=start, pk__lte=last).exclude(sender_domain="")
    latest = rows.values("sender_domain").annotate(at=Max("accepted_at")).values_list("sender_domain", "at")
    data: dict[str, str] = dict(mark.data)
    # The largest row first: of more domains than can be kept, the last to send stay.
    for domain, at in sorted(latest, key=lambda each: each[1])[-MOST:]:
        data[domain] = max(data.get(domain, ""), at.date().isoformat())
    kept = _kept(data)
    Bookmark.objects.filter(pk=NAME, number=mark.number).update(number=last, at=timezone.now(), data=kept)
    return len(kept)


def recent(most: int) -> list[str]:
    """The domains of the last DAYS days, the newest first."""
    data = Bookmark.objects.filter(pk=NAME).values_list("data", flat=True).first() or {}
    return list(_kept(data))[:most]


def _kept(data: dict[str, str]) -> dict[str, str]:
    since = (timezone.now() - timedelta(days=DAYS)).date().isoformat()
    fresh = [(domain, day) for domain, day in data.items() if day >= since]
    return dict(sorted(sorted(fresh), key=lambda each: each[1], reverse=True)[:MOST])
