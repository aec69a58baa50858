"""How old what is open has become: deliveries by state or domain and age, in buckets that double."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Case, CharField, Count, Value, When

from queueapp.models.bulk import any_of, id_list
from queueapp.models.delivery import OPEN, DeliveryQuerySet

# Minutes: the classic buckets of a queue's shape. The last one has no end.
AGES = (5, 10, 20, 40, 80, 160, 320, 640, 1280)


def by_age(deliveries: DeliveryQuerySet, now: datetime) -> list[tuple[int | None, dict[str, int]]]:
    """[(under how many minutes, {state: n}), …], youngest first; None is 1280 minutes and more."""
    buckets: tuple[int | None, ...] = (*AGES, None)
    bucket = Case(
        *(When(accepted_at__gt=now - timedelta(minutes=under), then=Value(str(under))) for under in AGES),
        default=Value(""),
        output_field=CharField(),
    )
    found = {under: {str(state): 0 for state in OPEN} for under in buckets}
    rows = deliveries.filter(state__in=OPEN).annotate(bucket=bucket).order_by()
    for under, state, n in rows.values_list("bucket", "state").annotate(n=Count("id")):
        found[int(under) if under else None][state] = n
    return [(under, found[under]) for under in buckets]


# SQLite has no idea how many rows a state has, and would read all that waits for one domain's.
_INDEX = {"sqlite": "INDEXED BY delivery_claim"}


def waiting_by_age(domain_ids: Sequence[int], now: datetime) -> dict[int, list[int]]:
    """Of each domain that has any, how many wait in each bucket, youngest first. Reads these domains' part of
    the claim's index and no more."""
    places = " ".join(f"WHEN accepted_at > %s THEN {place}" for place in range(len(AGES)))
    begins = [now - timedelta(minutes=under) for under in AGES]
    found: dict[int, list[int]] = {}
    asked = (
        f"SELECT domain_id, CASE {places} ELSE {len(AGES)} END, count(*) FROM queueapp_delivery "  # noqa: S608
        f"{_INDEX.get(connection.vendor, '')} WHERE {any_of('domain_id')} "
        "AND state IN ('queued', 'deferred') GROUP BY 1, 2"
    )
    with connection.cursor() as cursor:
        times = [connection.ops.adapt_datetimefield_value(begin) for begin in begins]
        cursor.execute(asked, [*times, id_list(domain_ids)])
        for domain_id, place, n in cursor.fetchall():
            found.setdefault(domain_id, [0] * (len(AGES) + 1))[place] = n
    return found
