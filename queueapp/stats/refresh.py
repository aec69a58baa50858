"""Rates and times of domains and sites as the board shows and orders them: of the last minutes and the
last hour, so they change by themselves and are looked at again until they are at rest.

In the background, a few hundred rows at a time, those that have waited longest first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from queueapp.models import Bookmark, DomainFigures, Minute, OutcomeSlot, SiteFigures, of_site
from queueapp.stats import minute_of, rollups
from queueapp.stats.outcomes import SLOT
from queueapp.stats.spread import Spread, percentile, together

AT_MOST = 500
AGAIN = timedelta(seconds=10)
RATE_OVER = 5  # minutes
TIMES_OVER = timedelta(hours=1)
_FIELDS = ("per_minute", "median_s", "p95_s", "refresh_at")


def refresh(now: datetime | None = None) -> int:
    """Returns how many rows were looked at."""
    now = now or timezone.now()
    domains = list(DomainFigures.objects.filter(refresh_at__lte=now).order_by("refresh_at")[:AT_MOST])
    sites = list(SiteFigures.objects.filter(refresh_at__lte=now).order_by("refresh_at")[:AT_MOST])
    _renew(DomainFigures, "domain", {row.pk: row for row in domains}, now, now)
    # Minutes of sites are complete up to there only.
    until = Bookmark.objects.filter(pk=rollups.SITES).values_list("at", flat=True).first() or now
    _renew(SiteFigures, "site", {of_site(row.pk): row for row in sites}, min(until, now), now)
    return len(domains) + len(sites)


def _renew(model: type[Any], key: str, rows: dict[int, Any], end: datetime, now: datetime) -> None:
    if not rows:
        return
    rates, times = _rates(rows, end), _times(rows, now)
    for scope, row in rows.items():
        row.per_minute = rates.get(scope, 0.0)
        spread = times.get(scope, {})
        row.median_s, row.p95_s = percentile(spread, 0.5), percentile(spread, 0.95)
        is_moving = row.per_minute or row.median_s is not None
        row.refresh_at = now + AGAIN if is_moving else None
    # An upsert of rows that are there: a tenth of what bulk_update costs.
    model._default_manager.bulk_create(
        rows.values(), update_conflicts=True, unique_fields=[key], update_fields=_FIELDS
    )


def _rates(scopes: Iterable[int], end: datetime) -> dict[int, float]:
    start = minute_of(end) - timedelta(minutes=RATE_OVER)
    minutes = (end - start).total_seconds() / 60
    rows = Minute.objects.filter(domain_id__in=list(scopes), at__gte=start, at__lt=end).values("domain_id")
    sums = rows.annotate(n=Sum("n_delivered")).values_list("domain_id", "n")
    return {scope: round(n / minutes, 2) for scope, n in sums}


def _times(scopes: Iterable[int], now: datetime) -> dict[int, Spread]:
    start = now - TIMES_OVER - timedelta(seconds=SLOT)
    found: dict[int, list[Spread]] = {}
    slots = OutcomeSlot.objects.filter(scope__in=list(scopes), at__gt=start)
    for scope, times in slots.values_list("scope", "times"):
        found.setdefault(scope, []).append(times)
    return {scope: together(each) for scope, each in found.items()}
