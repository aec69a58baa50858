"""Targets by lists, as the page of blocklists draws them: addresses and domains apart, the worst first.

Bounded: MOST targets of each; a page says when there are more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Q

from dashboard.snapshot.listings import rank, title, told
from queueapp.models import Listing, ListingKind, ListingState
from queueapp.watch.blocklists.lists import LISTS
from queueapp.watch.blocklists.targets import Targets

MOST = 100
_ADDRESSES = (ListingKind.IP4, ListingKind.IP6)
_IS_LISTED = Q(state=ListingState.LISTED)
Cell = dict[str, Any]


@dataclass(slots=True)
class Row:
    """`cells` stand under the columns; None where the list takes no such target, or is not asked."""

    target: str
    what: list[str]
    cells: list[Cell | None]
    n_listed: int
    n_clean: int


@dataclass(slots=True)
class Matrix:
    """`columns`: (name, title) of lists. `n_more`: targets that are not shown."""

    name: str
    columns: list[tuple[str, str]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    n_more: int = 0


def matrices(ours: Targets, now: datetime) -> list[Matrix]:
    """One of addresses, one of domains; those without a row are left out."""
    found = [
        _matrix("addresses", _ADDRESSES, ours, now),
        _matrix("domains", (ListingKind.DOMAIN,), ours, now),
    ]
    return [each for each in found if each.rows]


def hurting(now: datetime) -> list[Cell]:
    """What is listed, confirmed or not, or named by a receiver: the worst first."""
    rows = Listing.objects.current().filter(_IS_LISTED) | Listing.objects.named(now)
    return [told(row, now) for row in sorted(rows[:MOST], key=rank)]


def _matrix(name: str, kinds: tuple[ListingKind, ...], ours: Targets, now: datetime) -> Matrix:
    current = Listing.objects.current().filter(kind__in=kinds)
    per_target = current.values("target").annotate(
        n_listed=Count("pk", filter=_IS_LISTED), n_clean=Count("pk", filter=Q(state=ListingState.CLEAN))
    )
    shown = list(per_target.order_by("-n_listed", "target")[: MOST + 1])
    n_more = per_target.count() - MOST if len(shown) > MOST else 0
    cells: dict[tuple[str, str], Cell] = {
        (row.target, row.list_name): told(row, now)
        for row in current.filter(target__in=[each["target"] for each in shown[:MOST]])
    }
    there = {list_name for _, list_name in cells}
    columns = [each for each in [*LISTS, *sorted(there - LISTS.keys())] if each in there]
    rows = [
        Row(
            each["target"],
            ours.found[each["target"]].what if each["target"] in ours.found else [],
            [cells.get((each["target"], column)) for column in columns],
            each["n_listed"],
            each["n_clean"],
        )
        for each in shown[:MOST]
    ]
    return Matrix(name, [(column, title(column)) for column in columns], rows, n_more)
