"""Receivers that name a list in a refusal: evidence at once, without a question of ours.

Reads the attempts that came since the last look, in bounded steps by the primary key. A reply of the class
`blocklisted` that names a list marks that list for the address the mail left from (for the sender's domain,
where the list is one of domains), and a check is due at once. An attempt that another transaction commits
behind the mark is missed; the next refusal says it again. Never takes our own texts for a reply, nor loopback
(the sandbox) for an address of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from queueapp.models import Attempt, Bookmark, Listing, ListingChange
from queueapp.models.listing import NAMED_FOR
from queueapp.watch.blocklists import news, targets
from queueapp.watch.blocklists.due import NOT_ASKED
from queueapp.watch.blocklists.lists import LISTS, Blocklist

NAME = "blocklists.replies"
STEP = 20_000
MOST = 2000
"""Replies that are read in one look: a flood of them names the same lists again and again."""
ASK_AGAIN = timedelta(minutes=5)
_PHRASES = sorted(
    ((phrase, each.name) for each in LISTS.values() for phrase in each.named),
    key=lambda pair: -len(pair[0]),
)
_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])|[0-9a-f:]{2,39}:[0-9a-f:.]{1,20}")
_Row = tuple[datetime, str, str, str, str]


@dataclass(slots=True)
class Evidence:
    kind: str
    n: int
    since: datetime
    at: datetime
    reply: str
    host: str


def list_named(text: str) -> Blocklist | None:
    """The list that a reply names, by the longest of its names that occurs."""
    # An address may hold a name (bob@spamcop.net): it is no evidence.
    low = " ".join(word for word in text.lower().split() if "@" not in word)
    return next((LISTS[name] for phrase, name in _PHRASES if phrase in low), None)


def look() -> int:
    """Returns how many pairs were named in what came since the last look."""
    mark, is_new = Bookmark.objects.get_or_create(pk=NAME)
    last = Attempt.objects.aggregate(last=Max("pk"))["last"] or 0
    if last <= mark.number:
        return 0
    # What was refused before the first look, or long ago, says nothing of now.
    start = max(mark.number, last - STEP)
    rows = Attempt.objects.filter(pk__gt=start, pk__lte=last, reply_class="blocklisted", code__isnull=False)
    found = _evidence(
        rows.order_by("-pk").values_list("at", "text", "source", "host", "delivery__message__sender_domain")[
            :MOST
        ]
    )
    with transaction.atomic():
        if not Bookmark.objects.filter(pk=NAME, number=mark.number).update(number=last, at=timezone.now()):
            return 0
        for (target, name), evidence in sorted(found.items()):
            _mark(target, name, evidence)
        if found:
            news.tell()
    return len(found)


def _evidence(rows: Iterable[_Row]) -> dict[tuple[str, str], Evidence]:
    found: dict[tuple[str, str], Evidence] = {}
    ours = None
    for at, text, source, host, sender_domain in rows:
        named = list_named(text)
        if named is None:
            continue
        ours = set(targets.current().found) if ours is None else ours
        target, kind = _target(named, text, source, sender_domain, ours)
        if not target:
            continue
        known = found.setdefault((target, named.name), Evidence(kind, 0, at, at, text, host))
        known.n += 1
        known.since = min(known.since, at)
    return found


def _target(named: Blocklist, text: str, source: str, sender_domain: str, ours: set[str]) -> tuple[str, str]:
    """(target, kind); "" where the reply can't be about anything of ours."""
    if named.kinds == ("domain",):
        kind, why_not = targets.judge(sender_domain)
        return (sender_domain, "domain") if kind == "domain" and not why_not else ("", "")
    # Behind a NAT only the reply knows our address; it is believed where that is ours.
    for match in _ADDRESS.findall(text.lower()):
        if (plain := _plain(match)) in ours:
            return plain, _kind(plain)
    plain = _plain(source)
    if not plain or ip_address(plain).is_loopback:
        return "", ""
    return plain, _kind(plain)


def _plain(text: str) -> str:
    try:
        return str(ip_address(text.strip(".")))
    except ValueError:
        return ""


def _kind(address: str) -> str:
    return "ip4" if ip_address(address).version == 4 else "ip6"


def _mark(target: str, name: str, evidence: Evidence) -> None:
    now = timezone.now()
    row, _ = Listing.objects.get_or_create(
        target=target, list_name=name, defaults={"kind": evidence.kind, "since": now, "error": NOT_ASKED}
    )
    is_again = row.is_named(now)
    Listing.objects.filter(pk=row.pk).update(
        n_named=F("n_named") + evidence.n if is_again else evidence.n,
        named_since=row.named_since if is_again else evidence.since,
        named_at=evidence.at, named_reply=evidence.reply[:1000], named_by=evidence.host[:255],
        is_current=True,
    )  # fmt: skip
    if not is_again:
        detail = f"{evidence.host}: {evidence.reply}"[:1000]
        ListingChange.objects.create(listing=row, at=now, was=row.state, state="named", detail=detail)
    asked = Listing.objects.filter(pk=row.pk, next_check_at__gt=now)
    asked.exclude(checked_at__gt=now - ASK_AGAIN).update(next_check_at=now)


assert NAMED_FOR > ASK_AGAIN
