"""By site: the TOP with most that is open, then the busiest; the rest is `other`.

A name may belong to two sites (the same provider with two sets of MX hosts), so the number goes with it.
Counters have no `other`: a site that came into the list would take its past out of it, and a counter that
falls looks like a restart. The counters of all sites are those of the queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import F, Min, Sum
from django.utils import timezone
from prometheus_client.core import Metric

from dashboard.api.figures.families import counters, gauge, gauges
from queueapp import stats
from queueapp.models import OPEN, RecipientDomain, Site, SiteFigures
from queueapp.stats import totals

TOP = 20
OTHER = ("other", "")
_STATES = [str(state) for state in OPEN]
_LABELS = "site site_id"
Row = dict[str, Any]


def collect() -> Iterator[Metric]:
    now = timezone.now()
    rows = _rows()
    names = Site.objects.in_bulk([row["site_id"] for row in rows])
    shown = [
        ((names[row["site_id"]].name, str(row["site_id"])), row) for row in rows if row["site_id"] in names
    ]
    yield _depth(shown)
    text = "How long a domain of the site has had mail due that was not taken up."
    due = ((site, _waits(row["due"], now)) for site, row in shown)
    yield gauges("site_due_seconds", text, _LABELS, due)
    classes = totals.classes_of_sites([row["site_id"] for _, row in shown])
    attempts = (
        ((*site, name), float(n))
        for site, row in shown
        for name, n in sorted(classes.get(row["site_id"], {}).items())
    )
    text = "Attempts at the site by the class of what came of them."
    yield counters("site_attempts", text, f"{_LABELS} class", attempts)
    n_backing_off = Site.objects.filter(backoff_until__gt=now).count()
    yield gauge("sites_backing_off", "Sites that could not be reached a moment ago.", n_backing_off)
    n_suspended = RecipientDomain.objects.suspended(now).count()
    yield gauge("domains_suspended", "Recipient domains that a person has suspended.", n_suspended)


def _rows() -> list[Row]:
    """The deepest, and the busiest behind them."""
    found = list(_sums().filter(n_open__gt=0).order_by("-n_open", "site_id")[:TOP])
    left = TOP - len(found)
    if left:
        ids = [row["site_id"] for row in found]
        figures = SiteFigures.objects.exclude(pk__in=ids).order_by("-per_minute", "-tried_at", "pk")
        busy = list(figures.values_list("pk", flat=True)[:left])
        by_id = {row["site_id"]: row for row in _sums().filter(site_id__in=busy)}
        found += [by_id[pk] for pk in busy if pk in by_id]
    return found


def _sums() -> Any:
    sums = {state: Sum(f"n_{state}") for state in _STATES}
    n_open = Sum(F("n_queued") + F("n_sending") + F("n_deferred") + F("n_held"))
    domains = RecipientDomain.objects.filter(site__isnull=False).order_by()
    return domains.values("site_id").annotate(**sums, n_open=n_open, due=Min("due_at"))


def _depth(shown: list[tuple[tuple[str, str], Row]]) -> Metric:
    left = stats.depth()
    samples = []
    for site, row in shown:
        for state in _STATES:
            samples.append(((*site, state), float(row[state])))
            left[state] -= row[state]
    # Read a moment later than the sums: what moved between is nobody's.
    samples += [((*OTHER, state), float(max(0, left[state]))) for state in _STATES]
    text = f"Open deliveries of the {TOP} sites that have most, by state; the rest is `other`."
    return gauges("site_deliveries", text, f"{_LABELS} state", samples)


def _waits(due: datetime | None, now: datetime) -> float:
    return max(0.0, (now - due).total_seconds()) if due else 0.0
