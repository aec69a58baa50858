"""When the queue, a site or a domain will be empty at today's rate."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F, Sum

from queueapp.models import EVERY_DOMAIN, RecipientDomain, of_site
from queueapp.stats.drain import Drain
from queueapp.stats.drain import of_scope as drain_of

_WAITING = Sum(F("n_queued") + F("n_sending") + F("n_deferred"))


def of_scope(kind: str, key: str, now: datetime) -> Drain | None:
    """None: nobody counts what leaves of a sender or a campaign."""
    domains = RecipientDomain.objects.all()
    if kind == "all":
        return drain_of(_n(domains), now, EVERY_DOMAIN)
    if kind == "domain":
        row = domains.filter(name=key).first()
        return drain_of(_n(domains.filter(name=key)), now, row.pk) if row else None
    if kind == "site" and key.isdigit():
        return drain_of(_n(domains.filter(site_id=int(key))), now, of_site(int(key)))
    return None


def _n(domains: object) -> int:
    return domains.aggregate(n=_WAITING)["n"] or 0  # type: ignore[attr-defined]
