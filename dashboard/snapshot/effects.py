"""What rules of back-off hold now: how many, and where it is shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.urls import NoReverseMatch, reverse

from queueapp.models import Effect


def live(now: datetime) -> dict[str, Any]:
    """For the snapshot: {"n", "url"}."""
    try:
        url = reverse("rules")
    except NoReverseMatch:  # a dashboard without that page
        url = ""
    return {"n": Effect.objects.open(now).count(), "url": url}
