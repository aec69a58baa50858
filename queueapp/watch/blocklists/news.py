"""Something of the listings changed: open pages are told, and can tell that by one row.

The bookmark's `at` is the newest change: a page asks for its rows again only where it moved.
"""

from __future__ import annotations

from django.utils import timezone

from queueapp import events
from queueapp.models import Bookmark

NAME = "blocklists"


def tell() -> None:
    """In the transaction of the change; the event goes out when that is committed."""
    Bookmark.objects.update_or_create(name=NAME, defaults={"at": timezone.now()})
    events.publish("listings")
