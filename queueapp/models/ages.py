"""How old what is open has become: deliveries by state and age, in buckets that double."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Case, CharField, Count, Value, When

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
