"""A wall clock that was set back: what it had put off must not wait for the old time to come again.

Times in the queue are wall clock times. After a jump back by an hour all that was accepted before would
wait for an hour, and all that was deferred for an hour more.

Promises: what was accepted or tried "in the future" waits from now on as long as it was meant to; a time
that the sender asked for stays. Clocks of machines may differ by a minute without any effect.
Never: looks at rows unless this machine's clock jumped within the last minute, or the scheduler has just
started. (A minute, since what had begun before the jump is committed after it.)
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from queueapp import kick
from queueapp.engine.counters import Changes
from queueapp.models import WAITING, Delivery, Site

SKEW = timedelta(minutes=2)
_JUMP = 30.0
_AFTERMATH = 60.0
_BATCH = 500
_offset: float | None = None
"""Wall clock less monotonic clock, when this process last looked; None before."""
_watch_until = 0.0
log = logging.getLogger(__name__)


def look() -> int:
    """Every few seconds: how many deliveries had to be set right."""
    global _offset, _watch_until
    now = time.monotonic()
    offset = time.time() - now
    if _offset is not None and _offset - offset > _JUMP:
        log.warning("the clock was set back by %.0f s", _offset - offset)
        _watch_until = now + _AFTERMATH
    is_wanted = _offset is None or now < _watch_until
    _offset = offset
    return set_right() if is_wanted else 0


def set_right() -> int:
    """Give all that waits for a time of a clock that ran ahead its time by this one."""
    ahead = timezone.now() + SKEW
    ids = list(
        Delivery.objects.filter(state__among=WAITING, next_attempt_at__gt=ahead)
        .filter(
            Q(last_attempt_at__gt=ahead)
            | Q(last_attempt_at__isnull=True, accepted_at__gt=ahead, message__send_at__isnull=True)
        )
        .values_list("id", flat=True)
    )
    n = sum(_set_right(ids[start : start + _BATCH]) for start in range(0, len(ids), _BATCH))
    for site in Site.objects.filter(backoff_since__gt=ahead, backoff_until__gt=ahead):
        Site.objects.filter(pk=site.pk, backoff_until=site.backoff_until).update(
            backoff_since=timezone.now(), backoff_until=_from_now(site.backoff_until, site.backoff_since)
        )
    if n:
        log.warning("%d deliveries waited for a clock that ran ahead; they go by this one now", n)
    return n


def _set_right(ids: list[int]) -> int:
    changes = Changes()
    with transaction.atomic():
        waiting = Delivery.objects.filter(id__in=ids, state__among=WAITING)
        rows = list(waiting.select_for_update(skip_locked=True).order_by("id"))
        for row in rows:
            if row.next_attempt_at:
                row.next_attempt_at = _from_now(row.next_attempt_at, row.last_attempt_at or row.accepted_at)
                changes.waits_until(row.domain_id, row.next_attempt_at)
        Delivery.objects.bulk_update(rows, ["next_attempt_at"], batch_size=100)
        changes.apply()
        kick.kick()
    return len(rows)


def _from_now(until: datetime | None, since: datetime | None) -> datetime:
    """As long from now as it was meant to be from then."""
    now = timezone.now()
    return now if until is None or since is None else now + max(until - since, timedelta(0))
