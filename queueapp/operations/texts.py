"""Why a row was left alone, in words for people; the key is for programs and stays."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "queued": "It was not tried yet, and goes by itself.",
    "deferred": "It waits for its next attempt.",
    "sending": "It was being sent at that moment.",
    "held": "It is held.",
    "delivered": "It was delivered.",
    "bounced": "It has bounced, and its sender was told.",
    "expired": "It was given up by its age.",
    "deleted": "It is in the bin.",
    "gone": "It is no longer there.",
    "busy": "Somebody else was changing it at that moment.",
    "changed": "It is no longer as the operation left it.",
    "first_failed": "The first mail to its receiver failed again, so it stays as it was.",
    "stopped": "The retry to its receiver was stopped by a person, so it stays as it was.",
    "cancelled": "The operation ended before its turn.",
    "error": "It could not be changed; the log says why.",
}


def why(reason: str) -> str:
    """`error: …` carries its own words."""
    key, _, more = reason.partition(": ")
    return f"{REASONS.get(key, key)} ({more})" if more else REASONS.get(key, key)
