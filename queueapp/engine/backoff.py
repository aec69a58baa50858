"""Back-off of a site: a visible row with its cause, since when and until when.

While a site backs off, what is claimed for it is recorded as deferred with that cause and
tried again after it: nothing waits without a reason that a person can read.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from queueapp import events
from queueapp.models import Site
from queueapp.transports.base import Outcome

_FIRST = timedelta(seconds=30)
_CAP = timedelta(minutes=15)


def begin(site_id: int, outcome: Outcome) -> datetime:
    """The site can't be reached: back off, twice as long each time. Returns until when."""
    now = timezone.now()
    site = Site.objects.get(pk=site_id)
    if site.backoff_until and site.backoff_until > now:
        return site.backoff_until
    wait = min(_FIRST * 2 ** min(site.n_failures, 10), _CAP)
    if outcome.retry_in:
        wait = max(wait, timedelta(seconds=outcome.retry_in))
    Site.objects.filter(pk=site_id).update(
        n_failures=F("n_failures") + 1,
        backoff_class=outcome.reply_class,
        backoff_reply=outcome.text[:1000],
        backoff_since=site.backoff_since or now,
        backoff_until=now + wait,
    )
    events.publish("sites", site=site_id)
    return now + wait


def end(site_id: int) -> None:
    """It answers again."""
    changed = Site.objects.filter(pk=site_id, n_failures__gt=0).update(
        n_failures=0, backoff_class="", backoff_reply="", backoff_since=None, backoff_until=None
    )
    if changed:
        events.publish("sites", site=site_id)
