"""A site has blocked one of our sources: nothing goes this way for a while.

A row for each pair of source and site, with the reply that caused it, since when and until when. It
ends by itself or when a person lifts it; a block that comes again soon after lasts longer. Which replies
are a block, and how long it lasts, is told by rules (engine/rules/).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from queueapp import events
from queueapp.mail.reply import clean
from queueapp.models import Suspension, revision

FIRST = timedelta(minutes=15)
CAP = timedelta(hours=12)
# A block within this time of the last one's end is the same trouble.
AGAIN = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Cause:
    """What a receiver said, or what else the reason is."""

    reply_class: str
    reply: str
    retry_in: int | None = None


def grown(first: timedelta, growth: float, cap: timedelta, n: int, retry_in: int | None) -> timedelta:
    """How long the `n`th time in a row lasts; never less than the receiver asked for."""
    wait = min(first.total_seconds() * max(growth, 1.0) ** min(n - 1, 20), max(cap, first).total_seconds())
    return timedelta(seconds=max(wait, retry_in or 0))


def hold(
    source_id: int,
    site_id: int,
    cause: Cause,
    *,
    first: timedelta = FIRST,
    growth: float = 2.0,
    cap: timedelta = CAP,
    is_soft: bool = False,
) -> tuple[Suspension, bool]:
    """Suspend the pair (source 0: the default one). One that holds is left alone. `is_soft`: only where
    another source may be used. Returns the row, and whether it began now."""
    now = timezone.now()
    with transaction.atomic():
        # The pair's row is the lock: two runners may hear of the block at once.
        pair = Suspension.objects.filter(source_id=source_id or None, site_id=site_id)
        row = pair.select_for_update().first()
        if row and row.until > now and (is_soft or not row.is_soft):
            return row, False
        is_again = row is not None and row.lifted_at is None and row.until > now - AGAIN
        n = row.n + 1 if row and is_again else 1
        values = {
            "reply_class": cause.reply_class,
            "reply": clean(cause.reply, 1000),
            "since": now,
            "until": now + grown(first, growth, cap, n, cause.retry_in),
            "is_soft": is_soft,
            "n": n,
            "lifted_at": None,
            "lifted_by": "",
        }
        if row is None:
            row, is_new = Suspension.objects.get_or_create(
                source_id=source_id or None, site_id=site_id, defaults=values
            )
            if not is_new:  # another runner was faster
                return row, False
        else:
            pair.update(**values)
            row = pair.get()
        revision.bump(revision.SUSPENSIONS)
        events.publish("sites", site=site_id)
    return row, True
