"""Mail that waited for a back-off or a suspension is due now, since that was lifted.

No delivery is sent by this: claims take them in their order, under the limits of their site. What is more
than a slice follows by and by (engine/rules/resuming.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from queueapp.engine.counters import Changes
from queueapp.models import Delivery, RecipientDomain, State


def make_due(
    site_id: int,
    since: datetime,
    before: datetime | None = None,
    limit: int | None = None,
    head_start: float = 0.0,
) -> int:
    """Deliveries of the site that were deferred since then, and before `before`; at most `limit`; due in so
    many seconds. In the caller's transaction; returns how many."""
    at, n = timezone.now() + timedelta(seconds=head_start), 0
    changes = Changes()
    domains = RecipientDomain.objects.filter(site_id=site_id, n_deferred__gt=0).order_by("pk")
    for pk in list(domains.values_list("pk", flat=True)):
        if limit is not None and n >= limit:
            break
        rows = Delivery.objects.filter(
            domain_id=pk, state=State.DEFERRED, next_attempt_at__gt=at, last_attempt_at__gte=since
        )
        if before is not None:
            rows = rows.filter(last_attempt_at__lt=before)
        if limit is not None:
            some = rows.order_by("-priority", "next_attempt_at").values_list("pk", flat=True)[: limit - n]
            rows = rows.filter(pk__in=list(some))
        n_rows = rows.update(next_attempt_at=at)
        if n_rows:
            changes.waits_until(pk, at)
            n += n_rows
    changes.apply()
    return n
