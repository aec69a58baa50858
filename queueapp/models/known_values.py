"""Values that are known to the queue, by how they begin: what a search can be completed with.

Each is a look into an index or into a few rows, at any size of the queue; at most `limit` come back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from django.db import connection

from queueapp.models.domain import RecipientDomain
from queueapp.models.lookups import is_like
from queueapp.models.matching import CAMPAIGN_TAG
from queueapp.models.message import Message
from queueapp.models.route import Route
from queueapp.models.site import Site

_LATEST = 1000  # messages that are looked at for tags
_LONGEST = 100


def domains(start: str, limit: int) -> list[str]:
    start = start.lower()[:_LONGEST]
    rows = RecipientDomain.objects.order_by("name")
    if connection.vendor == "postgresql":
        rows = rows.filter(name__startswith=start)
    else:  # whose LIKE follows no index here
        rows = rows.filter(name__gte=start, name__lt=start + "\U0010ffff")
    return list(rows.values_list("name", flat=True)[:limit])


def sites(start: str, limit: int) -> list[str]:
    rows = Site.objects.filter(is_like("name", (start[:_LONGEST], ""))).order_by("name")
    return list(rows.values_list("name", flat=True).distinct()[:limit])


def sender_domains(start: str, limit: int) -> list[str]:
    """One look into the index for each: it has as many entries of a domain as there are messages."""
    found: list[str] = []
    start, last = start.lower()[:_LONGEST], ""
    for _ in range(limit):
        behind = {"sender_domain__gt": last} if found else {"sender_domain__gte": start}
        row = Message.objects.filter(**behind).order_by("sender_domain").values_list("sender_domain").first()
        if row is None or not row[0].startswith(start):
            break
        last = row[0]
        if last:
            found.append(last)
    return found


def tags(start: str, limit: int) -> list[str]:
    """Of the latest messages, the most used first."""
    counted = Counter(
        tag
        for tags in Message.objects.order_by("-id").values_list("tags", flat=True)[:_LATEST]
        for tag in tags
        if tag.lower().startswith(start.lower())
    )
    return [tag for tag, _ in counted.most_common(limit)]


def campaigns(start: str, limit: int) -> list[str]:
    return [tag[len(CAMPAIGN_TAG) :] for tag in tags(CAMPAIGN_TAG + start, limit)]


def routes(start: str, limit: int) -> list[str]:
    rows = Route.objects.exclude(name="").filter(is_like("name", (start[:_LONGEST], ""))).order_by("name")
    return list(rows.values_list("name", flat=True)[:limit])


KNOWN: dict[str, Callable[[str, int], list[str]]] = {
    "domain": domains,
    "to": domains,
    "site": sites,
    "from": sender_domains,
    "route": routes,
    "tag": tags,
    "campaign": campaigns,
}
