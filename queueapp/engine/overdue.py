"""Mail that waited for a back-off or a suspension is due now, since that was lifted.

No delivery is sent by this: claims take them in their order, under the limits of their site.
"""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from queueapp.engine.counters import Changes
from queueapp.models import Delivery, RecipientDomain, State


def make_due(site_id: int, since: datetime) -> int:
    """Deliveries of the site that were deferred since then. In the caller's transaction; returns how many."""
    now, n = timezone.now(), 0
    changes = Changes()
    domains = RecipientDomain.objects.filter(site_id=site_id, n_deferred__gt=0).order_by("pk")
    for pk in list(domains.values_list("pk", flat=True)):
        rows = Delivery.objects.filter(
            domain_id=pk, state=State.DEFERRED, next_attempt_at__gt=now, last_attempt_at__gte=since
        )
        n_rows = rows.update(next_attempt_at=now)
        if n_rows:
            changes.waits_until(pk, now)
            n += n_rows
    changes.apply()
    return n
