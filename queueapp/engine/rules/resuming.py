"""What was lifted lets its mail go slice by slice: a few first, then twice as many each time.

A receiver that has just forgiven us, or that we only hope has, must not meet everything at once. Each slice
is due as soon as all runners know of the lift, and goes under the limits of its site. Promises: a delivery is
let go once, so one that is turned away again waits as that says; where the site backs off again the rest
waits as it was.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from queueapp.engine.overdue import make_due
from queueapp.kick import kick
from queueapp.models import Site

FIRST, MOST = 200, 5000
_BEFORE = timedelta(minutes=1)
"""What was refused so shortly before is what set it off."""
HEAD_START = 3.0
"""Seconds until a slice is due: a runner looks for changes every two, and one that does not know yet would
put the mail off as if nothing had been lifted."""
EVERY = 2.0
"""Seconds between slices (workers/schedule.py)."""


def begin(site_id: int, since: datetime) -> int:
    """Let go what waits since then. In the caller's transaction; returns how many are due in a moment."""
    now, since = timezone.now(), since - _BEFORE
    n = make_due(site_id, since, limit=FIRST, head_start=HEAD_START)
    if n >= FIRST:
        Site.objects.filter(pk=site_id).update(resume_since=since, resume_before=now, resume_step=FIRST * 2)
    if n:
        kick()
    return n


def step() -> int:
    """The next slice of each site that has one; returns how many deliveries are due by it."""
    total = 0
    for site in Site.objects.filter(resume_before__isnull=False).order_by("pk"):
        with transaction.atomic():
            total += _one(site)
    return total


def _one(site: Site) -> int:
    now = timezone.now()
    row = Site.objects.filter(pk=site.pk, resume_before=site.resume_before)
    is_closed = site.backoff_until is not None and site.backoff_until > now
    n = 0
    if not is_closed and site.resume_since is not None:
        n = make_due(site.pk, site.resume_since, site.resume_before, site.resume_step, HEAD_START)
    if is_closed or n < site.resume_step:
        row.update(resume_since=None, resume_before=None, resume_step=0)
    else:
        row.update(resume_step=min(site.resume_step * 2, MOST))
    if n:
        kick()
    return n
