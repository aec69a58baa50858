"""`/livez`: the process answers. `/readyz`: so do the database and Redis. For load balancers; no key."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from dashboard.auth.gate import public
from queueapp import events

log = logging.getLogger("mailweir.health")


@public
@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"alive": True})


@public
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """503 where something is away. What exactly is wrong is told to the log, not to strangers."""
    parts = {"database": _answers(_database), "redis": _answers(_redis)}
    ready = all(parts.values())
    shown = {name: "ok" if fine else "away" for name, fine in parts.items()}
    return JsonResponse({"ready": ready, **shown}, status=200 if ready else 503)


def _answers(ask: Callable[[], None]) -> bool:
    try:
        ask()
    except (DatabaseError, RedisError, OSError) as error:
        log.warning("not ready: %s: %s", ask.__name__.strip("_"), error)
        return False
    return True


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _redis() -> None:
    events.redis().ping()
