"""Facts from the counters of domains and sites: the deepest one by one, the rest in groups that say the same.

Promises: a fixed number of queries; at most DEEPEST domains, DEEPEST_SITES sites and some hundred groups come
back, whatever there are. Counts are exact. No delivery is read here (samples.py does).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    F,
    IntegerField,
    Max,
    Min,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from queueapp.models import Listing, Minute, RecipientDomain, SiteFigures, Suspension
from queueapp.models import Site as SiteRow
from queueapp.watch.diagnosis.facts import Part, Site

DEEPEST, DEEPEST_SITES = 300, 100
MOST_FAILING, MOST_LISTED = 500, 5
_HOUR = timedelta(hours=1)
_RECENT = timedelta(minutes=10)
_OPEN = F("n_queued") + F("n_sending") + F("n_deferred") + F("n_held")
_COUNTS = ("n_queued", "n_sending", "n_deferred", "n_held")
Blocks = dict[int, tuple[str, str, datetime]]
Rows = QuerySet[Any]


def everything() -> Rows:
    return RecipientDomain.objects.annotate(n_open=_OPEN).filter(n_open__gt=0)


def of_domain(pk: int) -> Rows:
    return everything().filter(pk=pk)


def of_site(pk: int) -> Rows:
    return everything().filter(site_id=pk)


def parts(rows: Rows, sites: Iterable[int], now: datetime, deepest: int = DEEPEST) -> list[Part]:
    """The deepest of these domains, and the others in groups; groups are kept apart by these sites."""
    blocks = _blocks(now)
    top = list(rows.order_by("-n_open").values_list("pk", flat=True)[:deepest])
    found = [_part(row, blocks, now) for row in _rows(top)]
    if len(top) == deepest:
        found += _groups(rows.exclude(pk__in=top), list(sites), blocks, now)
    return found


def deepest_sites(limit: int = DEEPEST_SITES) -> list[int]:
    sums = RecipientDomain.objects.filter(site__isnull=False).order_by().values("site_id")
    deep = sums.annotate(n=Sum(_OPEN)).filter(n__gt=0).order_by("-n")
    return [pk for pk, _ in deep.values_list("site_id", "n")[:limit]]


def sites(ids: Iterable[int]) -> dict[int, Site]:
    return {row.pk: _site(row) for row in SiteRow.objects.filter(pk__in=list(ids))}


def failing() -> tuple[Site, ...]:
    rows = SiteRow.objects.filter(route="mx", n_failures__gt=0).order_by("-n_failures")[:MOST_FAILING]
    return tuple(_site(row) for row in rows)


def mx_delivered_at() -> datetime | None:
    """When anything was last delivered straight to an MX host."""
    return SiteFigures.objects.filter(site__route="mx").aggregate(last=Max("delivered_at"))["last"]


def listed(now: datetime) -> tuple[tuple[str, str], ...]:
    """What is on a blocklist by two answers, or by the word of a receiver."""
    rows = Listing.objects.hurting(now).order_by("-is_confirmed", "since")
    return tuple(rows.values_list("target", "list_name")[:MOST_LISTED])


def hour(now: datetime) -> tuple[int, int]:
    """(bounced, finished) in the last hour."""
    rows = Minute.objects.filter(domain_id=0, at__gte=now - _HOUR)
    sums = rows.aggregate(d=Sum("n_delivered"), b=Sum("n_bounced"), e=Sum("n_expired"))
    bounced = sums["b"] or 0
    return bounced, bounced + (sums["d"] or 0) + (sums["e"] or 0)


def _blocks(now: datetime) -> Blocks:
    held = Suspension.objects.filter(until__gt=now).order_by("-since")[:2000]
    return {each.site_id: (each.reply_class, each.reply, each.since) for each in held}


def _rows(pks: list[int]) -> list[RecipientDomain]:
    return list(RecipientDomain.objects.filter(pk__in=pks).select_related("site", "figures"))


def _part(row: RecipientDomain, blocks: Blocks, now: datetime) -> Part:
    site, figures = row.site, getattr(row, "figures", None)
    stop: tuple[str, str, datetime | None] = ("", "", None)
    if site is not None and site.backoff_until and site.backoff_until > now:
        stop = (site.backoff_class, site.backoff_reply, site.backoff_since)
    elif site is not None and (block := blocks.get(site.pk)):
        delivered_at = figures.delivered_at if figures else None
        if delivered_at is None or delivered_at < block[2]:
            stop = block
    until = [each for each in (row.next_at, site and site.next_at) if each]
    return Part(
        name=row.name, pk=row.pk, site_id=row.site_id or 0, site_name=site.name if site else "",
        n_queued=row.n_queued, n_sending=row.n_sending, n_deferred=row.n_deferred, n_held=row.n_held,
        suspended_at=row.suspended_at if row.is_suspended(now) else None,
        suspended_reason=row.suspended_reason,
        stop_class=stop[0], stop_reply=stop[1], stop_since=stop[2],
        is_paced=bool(until) and max(until) > now,
        error_class=figures.error_class if figures else "",
        error_reply=figures.error_reply if figures else "",
        due_at=row.due_at,
        tried_at=figures.tried_at if figures else None,
    )  # fmt: skip


def _groups(rows: Rows, site_ids: list[int], blocks: Blocks, now: datetime) -> list[Part]:
    suspended = Q(suspended_at__isnull=False) & (Q(suspended_until__isnull=True) | Q(suspended_until__gt=now))
    silent = Q(figures__delivered_at__isnull=True) | Q(figures__delivered_at__lt=now - _RECENT)
    reply = "figures__error_reply__icontains"
    grouped = (
        rows.order_by()
        .annotate(
            own_site=Case(
                When(site_id__in=site_ids, then=F("site_id")), default=Value(0), output_field=IntegerField()
            ),
            stopped=_is(suspended),
            paced=_is(Q(next_at__gt=now) | Q(site__next_at__gt=now)),
            stop=Case(
                When(site__backoff_until__gt=now, then=F("site__backoff_class")),
                When(Q(site_id__in=list(blocks)) & silent, then=Value("blocklisted")),
                default=Value(""),
                output_field=CharField(),
            ),
            # Which of its causes a class has is told by its text: kept apart by the words that decide it.
            hint=Case(
                When(Q(figures__error_class="busy") & Q(**{reply: "connection"}), then=Value("c")),
                When(
                    Q(figures__error_class="policy")
                    & (Q(**{reply: "ptr"}) | Q(**{reply: "reverse"}) | Q(**{reply: ".7.25"})),
                    then=Value("r"),
                ),
                default=Value(""),
                output_field=CharField(),
            ),
            error=Coalesce("figures__error_class", Value("")),
        )
        .values("own_site", "stopped", "paced", "stop", "hint", "error")
        .annotate(
            n_domains=Count("pk"),
            **{f"all_{name}": Sum(name) for name in _COUNTS},
            first_suspended=Min("suspended_at"),
            stop_since=Min("site__backoff_since"),
            stop_reply=Max("site__backoff_reply"),
            error_reply=Max("figures__error_reply"),
        )
    )
    return [_group(row) for row in grouped]


def _group(row: Any) -> Part:
    return Part(
        site_id=row["own_site"],
        n_domains=row["n_domains"],
        **{name: row[f"all_{name}"] for name in _COUNTS},
        suspended_at=row["first_suspended"] if row["stopped"] else None,
        stop_class=row["stop"],
        stop_reply=row["stop_reply"] or "",
        stop_since=row["stop_since"] if row["stop"] else None,
        is_paced=row["paced"],
        error_class=row["error"],
        error_reply=row["error_reply"] or "",
    )


def _is(condition: Q) -> Case:
    return Case(When(condition, then=Value(True)), default=Value(False), output_field=BooleanField())


def _site(row: SiteRow) -> Site:
    return Site(
        row.pk, row.name, row.route, row.n_failures, row.backoff_class, row.backoff_reply, row.backoff_since
    )
