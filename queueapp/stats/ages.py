"""How old what waits has become, by domain and by site: the shape of the queue.

Counting a million rows for each look would cost more than the look is worth. So a pass in the
background counts all that waits, from the index of the claim alone, and keeps the result in one row
(`Bookmark` "ages"); a pass is made when the last one cost less than a twentieth of the time since.
Few rows are counted at once, when they are asked for: then the figure is of this moment.

Promises: a pass reads a bounded part of the queue in each statement, and keeps the DEEPEST domains.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, F, IntegerField, Q, Value, When
from django.utils import timezone

from queueapp.models import Bookmark, Delivery, RecipientDomain
from queueapp.models.ages import AGES

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
        rows = _counted(Delivery.objects.filter(domain_id__in=ids), now, F("domain_id"))
        found.update(rows)
        n += sum(map(sum, rows.values()))
    by_site: dict[int, Ages] = {}
    open_ones = RecipientDomain.objects.filter(Q(n_queued__gt=0) | Q(n_deferred__gt=0), site__isnull=False)
    where = dict(open_ones.values_list("pk", "site_id"))
    for pk, ages in found.items():
        if site_id := where.get(pk):
            before = by_site.setdefault(site_id, [0] * len(ages))
            by_site[site_id] = [a + b for a, b in zip(before, ages, strict=True)]
    data = {"domains": found, "sites": by_site, "took_ms": int((time.monotonic() - began) * 1000)}
    Bookmark.objects.filter(pk=NAME).update(at=now, data=data)
    return n


def of_domains(rows: Iterable[Any], now: datetime) -> dict[int, Shape]:
    """Id to shape; `rows` have `pk` and `n_waiting`."""
    return _shapes(rows, now, "domains", "domain_id")


def of_sites(rows: Iterable[Any], now: datetime) -> dict[int, Shape]:
    return _shapes(rows, now, "sites", "domain__site_id")


def _shapes(rows: Iterable[Any], now: datetime, kind: str, column: str) -> dict[int, Shape]:
    few: list[int] = []
    many: list[int] = []
    for row in rows:
        (few if row.n_waiting <= AT_ONCE else many).append(row.pk)
    none = [0] * (len(AGES) + 1)
    # No row waits: nothing is asked.
    asked = Delivery.objects.filter(**{f"{column}__in": few})
    counted = _counted(asked, now, F(column)) if few else {}
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


def _counted(rows: Any, now: datetime, by: F) -> dict[int, Ages]:
    bucket = Case(
        *(
            When(accepted_at__gt=now - timedelta(minutes=under), then=Value(place))
            for place, under in enumerate(AGES)
        ),
        default=Value(len(AGES)),
        output_field=IntegerField(),
    )
    found: dict[int, Counter[int]] = {}
    counts = rows.waiting().order_by().annotate(of=by, bucket=bucket)
    for of, place, n in counts.values_list("of", "bucket").annotate(n=Count("*")):
        found.setdefault(of, Counter())[place] = n
    return {of: [places[place] for place in range(len(AGES) + 1)] for of, places in found.items()}
