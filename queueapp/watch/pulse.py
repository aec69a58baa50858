"""When the watch last went round.

Who shows what the watch found shows this, too: an empty list of troubles means health only where
somebody looked.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from queueapp.models import Bookmark

NAME = "watch"
EVERY = 10.0  # seconds
SILENT = 90.0  # seconds without a round: then its word counts no more


def beat() -> None:
    Bookmark.objects.update_or_create(name=NAME, defaults={"at": timezone.now()})


def last() -> datetime | None:
    """None: it has never run."""
    return Bookmark.objects.filter(name=NAME).values_list("at", flat=True).first()


def is_silent(now: datetime) -> bool:
    """It ran once and has not for a while, or it never ran."""
    seen = last()
    return seen is None or now - seen > timedelta(seconds=SILENT)
