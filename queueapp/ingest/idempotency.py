"""The same key within 24 hours gives the same answer and no second message."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from queueapp.ingest.submission import Accepted
from queueapp.models import Delivery, IdempotencyKey, Message

LIFETIME = timedelta(hours=24)


def known(keys: list[tuple[str, str]]) -> dict[tuple[str, str], Accepted]:
    """The answers that were given to these (owner, key). A key that is too old is forgotten here."""
    wanted = {(owner, key) for owner, key in keys if key}
    if not wanted:
        return {}
    oldest = timezone.now() - LIFETIME
    rows = IdempotencyKey.objects.filter(key__in={key for _, key in wanted})
    rows.filter(created_at__lte=oldest).delete()
    found = {}
    for row in rows.filter(created_at__gt=oldest):
        if (row.owner, row.key) in wanted:
            made = Delivery.objects.filter(message_id=row.message_id).order_by("id")
            answer = [(pk, to, state) for pk, to, state in made.values_list("id", "recipient", "state")]
            found[row.owner, row.key] = Accepted(row.message_id, answer)
    return found


def remember(stored: list[tuple[str, str, Message]]) -> None:
    now = timezone.now()
    IdempotencyKey.objects.bulk_create(
        [
            IdempotencyKey(owner=owner, key=key, message=message, created_at=now)
            for owner, key, message in stored
            if key
        ]
    )
