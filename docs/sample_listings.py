"""Blocklists as they look with one address in trouble: rows for pictures, not for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from queueapp import conf
from queueapp.models import Bookmark, EgressSource, Listing, ListingChange
from queueapp.watch import pulse
from queueapp.watch.blocklists import due, senders, targets
from queueapp.watch.blocklists.lists import LISTS, chosen

_SOURCES = (
    ("45.67.89.10", "mx1.shop-mail.com"),
    ("45.67.89.11", "mx2.shop-mail.com"),
    ("2a00:1450:4001::10", "mx6.shop-mail.com"),
)
_REPLY = "554 5.7.1 Service unavailable; Client host [45.67.89.10] blocked using zen.spamhaus.org"


def fill(now: datetime | None = None) -> None:
    """Switches blocklists on for this process."""
    now = now or datetime.now(UTC)
    for n, (address, ehlo_name) in enumerate(_SOURCES, 1):
        EgressSource.objects.create(name=f"mx{n}", address=address, ehlo_name=ehlo_name)
    Bookmark.objects.create(name=senders.NAME, data={"shop-mail.com": now.date().isoformat()})
    conf.settle(blocklists=("yes",), hostname="mx1.shop-mail.com")
    due.arrange(targets.current().found.values(), chosen().lists, now)
    checked = {"checked_at": now - timedelta(minutes=12), "next_check_at": now + timedelta(minutes=48)}
    Listing.objects.update(
        state="clean", is_confirmed=True, since=now - timedelta(days=3), told="clean", **checked
    )
    severity, meaning = LISTS["spamhaus-zen"].codes["127.0.0.3"]
    row = _listed(
        "spamhaus-zen", now - timedelta(hours=5), codes=["127.0.0.3"], severity=severity, meaning=meaning,
        reason="https://check.spamhaus.org/query/ip/45.67.89.10", n_named=312, named_by="mx1.orange.fr",
        named_since=now - timedelta(hours=4), named_at=now - timedelta(minutes=2), named_reply=_REPLY,
    )  # fmt: skip
    _listed(
        "uceprotect-2", now - timedelta(minutes=1), is_confirmed=False, codes=["127.0.0.2"], severity="info",
        meaning=LISTS["uceprotect-2"].codes["127.0.0.2"][1],
    )  # fmt: skip
    Listing.objects.filter(list_name="s5h").update(state="unknown", error="no answer within 3 s")
    for hours, was, state, detail in (
        (5, "clean", "listed", meaning),
        (4, "listed", "named", f"mx1.orange.fr: {_REPLY}"),
    ):
        ListingChange.objects.create(
            listing=row, at=now - timedelta(hours=hours), was=was, state=state, detail=detail
        )
    pulse.beat()


def _listed(name: str, since: datetime, **values: Any) -> Listing:
    row = Listing.objects.get(target=_SOURCES[0][0], list_name=name)
    Listing.objects.filter(pk=row.pk).update(state="listed", since=since, **values)
    return row
