"""What conditions look at, asked for once a round and only where a rule wants it.

Promises: counters, figures and rollups only, never the live table; so a round costs the same at a thousand
deliveries and at a million. Raises the database's error where it is away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db.models import F, Q, Sum

from queueapp import stats
from queueapp.models import (
    EVERY_DOMAIN,
    Diagnosis,
    DomainFigures,
    Hour,
    Minute,
    RecipientDomain,
    SiteFigures,
)
from queueapp.stats import drain
from queueapp.watch.diagnosis import system
from queueapp.watch.diagnosis.causes.table import CAUSES
from queueapp.watch.diagnosis.facts import System

MOST = 1_000
"""Things that one rule is told of at most; more of the same would help nobody."""
Sums = dict[str, int]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A domain or site with much that waits."""

    pk: int
    name: str
    n: int
    delivered_at: datetime | None
    error_class: str
    error_reply: str


class Facts:
    def __init__(self, now: datetime) -> None:
        self.now = now
        self._sums: dict[int, dict[int, Sums]] = {}

    @cached_property
    def depth(self) -> Sums:
        return stats.depth()

    @property
    def n_waiting(self) -> int:
        return self.depth["queued"] + self.depth["sending"] + self.depth["deferred"]

    @cached_property
    def oldest_due(self) -> float | None:
        """Seconds; of what a runner may take now: what somebody has suspended waits with good reason."""
        return RecipientDomain.objects.claimable_for(self.now)

    @cached_property
    def system(self) -> System:
        return system.look(self.now)

    @cached_property
    def causes(self) -> list[Diagnosis]:
        """Of the whole queue, in order; those that are no trouble left out."""
        return list(Diagnosis.objects.filter(kind=Diagnosis.Kind.ALL).order_by("place")[:20])

    @property
    def root(self) -> str:
        """The first cause of the whole queue that is a trouble; what is told of the queue goes by it."""
        for row in self.causes:
            known = CAUSES.get(row.cause)
            if known is not None and known.level in ("danger", "warning"):
                return row.cause
        return ""

    @cached_property
    def cause_of_domain(self) -> dict[str, str]:
        """The first cause of each of the fullest domains."""
        rows = Diagnosis.objects.filter(kind=Diagnosis.Kind.DOMAIN, place=0).order_by("-n")
        return dict(rows.values_list("key", "cause")[: 2 * MOST])

    @cached_property
    def campaigns(self) -> list[Diagnosis]:
        rows = Diagnosis.objects.filter(kind=Diagnosis.Kind.CAMPAIGN, place=0)
        return list(rows.order_by("-n")[:MOST])

    @cached_property
    def drain(self) -> drain.Drain:
        return drain.of_scope(self.n_waiting, self.now)

    def sums(self, minutes: int) -> Sums:
        """Counts of all over the last whole minutes, and the one that runs."""
        start = stats.minute_of(self.now) - timedelta(minutes=minutes)
        rows = Minute.objects.filter(domain_id=EVERY_DOMAIN, at__gte=start)
        found = rows.aggregate(**{metric: Sum(f"n_{metric}") for metric in stats.METRICS})
        return {metric: found[metric] or 0 for metric in stats.METRICS}

    def sums_of_sites(self, minutes: int) -> dict[int, Sums]:
        """The same for each site that had mail, by the number that is its scope."""
        if minutes not in self._sums:
            start = stats.minute_of(self.now) - timedelta(minutes=minutes)
            rows = Minute.objects.filter(domain_id__lt=0, at__gte=start)
            sums = rows.values("domain_id").annotate(**{name: Sum(f"n_{name}") for name in stats.METRICS})
            self._sums[minutes] = {row["domain_id"]: _counts(row) for row in sums}
        return self._sums[minutes]

    def usual(self, scopes: Collection[int]) -> dict[int, Sums]:
        """Counts of the day that ended two hours ago, by scope as rows of Hour have it; of few only."""
        rows = Hour.objects.filter(
            scope__in=scopes, at__gte=self.now - timedelta(hours=26), at__lt=self.now - timedelta(hours=2)
        )
        sums = rows.values("scope").annotate(**{name: Sum(f"n_{name}") for name in stats.METRICS})
        return {row["scope"]: _counts(row) for row in sums}

    def domains(self, least: int) -> list[Waiting]:
        """Those where at least so many wait, and nobody has suspended them; the fullest first."""
        rows = (
            RecipientDomain.objects.annotate(n=F("n_queued") + F("n_deferred"))
            .filter(n__gte=max(least, 1))
            .filter(Q(suspended_at__isnull=True) | Q(suspended_until__lte=self.now))
            .order_by("-n")[:MOST]
        )
        found = list(rows.values_list("pk", "name", "n", "site__backoff_class", "site__backoff_reply"))
        figures = DomainFigures.objects.in_bulk([pk for pk, *_ in found])
        # Of a site that backs off one mail is tried: all its domains wait for that.
        return [
            _waiting(pk, name, n, figures.get(pk), class_ or "", reply or "")
            for pk, name, n, class_, reply in found
        ]

    def sites(self, least: int) -> list[Waiting]:
        rows = (
            RecipientDomain.objects.filter(site__isnull=False)
            .filter(Q(n_queued__gt=0) | Q(n_deferred__gt=0))
            .filter(Q(suspended_at__isnull=True) | Q(suspended_until__lte=self.now))
            .values("site_id", "site__name")
            .annotate(n=Sum(F("n_queued") + F("n_deferred")))
            .filter(n__gte=max(least, 1))
            .order_by("-n")[:MOST]
        )
        found = [(row["site_id"], row["site__name"], row["n"]) for row in rows]
        figures = SiteFigures.objects.in_bulk([pk for pk, _, _ in found])
        return [_waiting(pk, name, n, figures.get(pk)) for pk, name, n in found]


def _counts(row: Mapping[str, Any]) -> Sums:
    return {name: row[name] or 0 for name in stats.METRICS}


def _waiting(
    pk: int,
    name: str,
    n: int,
    figures: DomainFigures | SiteFigures | None,
    stop_class: str = "",
    stop_reply: str = "",
) -> Waiting:
    """`stop_class`: why its site backs off, where nothing of its own was tried."""
    if figures is None or not figures.error_class:
        return Waiting(pk, name, n, figures.delivered_at if figures else None, stop_class, stop_reply)
    return Waiting(pk, name, n, figures.delivered_at, figures.error_class, figures.error_reply)
