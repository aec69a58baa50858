"""How old what waits has become, by domain and by site: the shape of the queue.

Counting a million rows for each look would cost more than the look is worth. So a pass in the
background counts all that waits, from the index of the claim alone, and keeps the result in one row
(`Bookmark` "ages"); a pass is made when the last one cost less than a twentieth of the time since.
Few rows are counted at once, when they are asked for: then the figure is of this moment.

Promises: a pass reads a bounded part of the queue in each statement, and keeps the DEEPEST domains.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from queueapp.models import Bookmark, RecipientDomain
from queueapp.models.ages import AGES, waiting_by_age

NAME = "ages"
DEEPEST = 5000
AT_ONCE = 1000
"""Deliveries of a domain or site that are counted when they are asked for."""
_STEP = 100_000
_SHARE = 20
_OFTEN = timedelta(seconds=3)

Ages = list[int]
"""Deliveries in each bucket of models/ages.py, youngest first; the last one has no end."""


@dataclass(frozen=True, slots=True)
class Shape:
    ages: Ages
    at: datetime | None
    """When it was counted; None: now."""


def look(now: datetime | None = None) -> int:
    """Make a pass, unless it is too early for one; returns how many deliveries were counted."""
    now = now or timezone.now()
    last, _ = Bookmark.objects.get_or_create(pk=NAME)
    pause = max(_OFTEN, timedelta(milliseconds=_SHARE * last.data.get("took_ms", 0)))
    if last.at and last.at <= now < last.at + pause:
        return 0
    began, found, n = time.monotonic(), {}, 0
    for ids in _steps():
        rows = waiting_by_age(ids, now)
        found.update(rows)
        n += sum(map(sum, rows.values()))
    where = dict(_open_domains().filter(site__isnull=False).values_list("pk", "site_id"))
    data = {
        "domains": found,
        "sites": _summed(found, where),
        "took_ms": int((time.monotonic() - began) * 1000),
    }
    Bookmark.objects.filter(pk=NAME).update(at=now, data=data)
    return n


def of_domains(rows: Iterable[Any], now: datetime) -> dict[int, Shape]:
    """Id to shape; `rows` have `pk` and `n_waiting`."""
    return _shapes(rows, now, "domains", waiting_by_age)


def of_sites(rows: Iterable[Any], now: datetime) -> dict[int, Shape]:
    return _shapes(rows, now, "sites", _of_sites)


def _of_sites(ids: Sequence[int], now: datetime) -> dict[int, Ages]:
    where = dict(_open_domains().filter(site__in=ids).values_list("pk", "site_id"))
    return _summed(waiting_by_age(list(where), now), where)


def _open_domains() -> QuerySet[RecipientDomain]:
    return RecipientDomain.objects.filter(Q(n_queued__gt=0) | Q(n_deferred__gt=0))


def _summed(by_domain: Mapping[int, Ages], where: Mapping[int, int]) -> dict[int, Ages]:
    found: dict[int, Ages] = {}
    for pk, ages in by_domain.items():
        if site_id := where.get(pk):
            before = found.setdefault(site_id, [0] * len(ages))
            found[site_id] = [a + b for a, b in zip(before, ages, strict=True)]
    return found


def _shapes(
    rows: Iterable[Any], now: datetime, kind: str, count: Callable[[Sequence[int], datetime], dict[int, Ages]]
) -> dict[int, Shape]:
    few: list[int] = []
    many: list[int] = []
    for row in rows:
        (few if row.n_waiting <= AT_ONCE else many).append(row.pk)
    none = [0] * (len(AGES) + 1)
    # No row waits: nothing is asked.
    counted = count(few, now) if few else {}
    found = {pk: Shape(counted.get(pk, none), None) for pk in few}
    last = Bookmark.objects.filter(pk=NAME).first() if many else None
    kept = last.data.get(kind, {}) if last else {}
    for pk in many:
        if ages := kept.get(str(pk)):
            found[pk] = Shape(ages, last.at if last else None)
    return found


def _steps() -> Iterable[list[int]]:
    """Ids of the deepest domains, as many together as have some hundred thousand deliveries."""
    rows = RecipientDomain.objects.annotate(n=F("n_queued") + F("n_deferred")).filter(n__gt=0)
    ids: list[int] = []
    n_in_step = 0
    for pk, n in rows.order_by("-n").values_list("pk", "n")[:DEEPEST]:
        if ids and (n_in_step + n > _STEP or len(ids) >= 500):
            yield ids
            ids, n_in_step = [], 0
        ids.append(pk)
        n_in_step += n
    if ids:
        yield ids
