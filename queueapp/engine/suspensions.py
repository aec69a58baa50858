"""A site has blocked one of our sources: nothing goes this way for a while.

A row for each pair of source and site, with the reply that caused it, since when and until when. It
ends by itself or when a person lifts it; a block that comes again soon after lasts twice as long.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from queueapp import events
from queueapp.mail.classes import BY_REPUTATION, CLASSES
from queueapp.mail.reply import clean
from queueapp.models import Suspension, revision
from queueapp.transports.base import Outcome

FIRST = timedelta(minutes=15)
CAP = timedelta(hours=12)
# A block within this time of the last one's end is the same trouble.
_AGAIN = timedelta(hours=24)


def is_block(outcome: Outcome) -> bool:
    """Whether the reply turns away the address that we came from, and not this mail or recipient."""
    if outcome.result == "delivered" or outcome.code is None:
        return False
    info = CLASSES.get(outcome.reply_class)
    return (info is not None and info.backs_off == "source") or outcome.rule in BY_REPUTATION


def begin(source_id: int, site_id: int, outcome: Outcome) -> datetime:
    """Suspend the pair (source 0: the default one); returns until when. One that holds is left alone."""
    now = timezone.now()
    with transaction.atomic():
        # The site's row is the lock: two runners may hear of the block at once.
        pair = Suspension.objects.filter(source_id=source_id or None, site_id=site_id)
        row = pair.select_for_update().first()
        if row and row.until > now:
            return row.until
        is_again = row is not None and row.lifted_at is None and row.until > now - _AGAIN
        n = row.n + 1 if row and is_again else 1
        wait = min(FIRST * 2 ** min(n - 1, 10), CAP)
        if outcome.retry_in:
            wait = max(wait, timedelta(seconds=outcome.retry_in))
        values = {
            "reply_class": outcome.reply_class,
            "reply": clean(outcome.reply, 1000),
            "since": now,
            "until": now + wait,
            "n": n,
            "lifted_at": None,
            "lifted_by": "",
        }
        made, is_new = Suspension.objects.get_or_create(
            source_id=source_id or None, site_id=site_id, defaults=values
        )
        if not is_new and made.until <= now:
            pair.update(**values)
        revision.bump(revision.SUSPENSIONS)
        events.publish("sites", site=site_id)
    return made.until if made.until > now else now + wait
