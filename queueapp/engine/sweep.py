"""The safety net under the kicks: start runners where mail is due."""

from __future__ import annotations

from django.utils import timezone
from redis.exceptions import RedisError

from queueapp import kick
from queueapp.models import RecipientDomain


def sweep() -> int:
    """Start a runner for each worker while there is due mail; returns how many were added."""
    if not has_due():
        return 0
    try:
        return sum(kick.start(number) for number in range(kick.n_workers()))
    except RedisError:
        return 0


def has_due() -> bool:
    return RecipientDomain.objects.due(timezone.now()).exists()
