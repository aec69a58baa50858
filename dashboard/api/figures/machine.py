"""What runs: this build, the parts of this machine, Redis, and the queue runners of all machines."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from django.db import connection
from django.db.models import Count, Sum
from prometheus_client.core import Metric
from redis.exceptions import RedisError

from dashboard.api.figures.families import counters, each, gauge, gauges
from dashboard.snapshot.machines import parts
from queueapp import __version__, conf, events
from queueapp.models import Runner
from queueapp.watch import pulse


def collect() -> Iterator[Metric]:
    """Without the database."""
    build = (__version__, platform.python_version(), connection.vendor)
    yield gauges("build_info", "1, with what runs here.", "version python database", [(build, 1)])
    yield gauge("redis_up", "Whether Redis answered this scrape.", int(_redis_answers()))
    # A name is told once: two that were numbered alike would spoil the whole answer.
    told = {part["name"]: part for part in parts()}
    up = {name: float(part["state"] == "running") for name, part in told.items()}
    yield gauges("part_up", "Whether a part of `up` on this machine runs.", "part", each(up))
    restarts = {name: float(part["n_restarts"]) for name, part in told.items()}
    text = "Times that a part of this machine was started again since `up` began."
    yield counters("part_restarts", text, "part", each(restarts))


def runners() -> Iterator[Metric]:
    alive = Runner.objects.alive().aggregate(n=Count("id"), sessions=Sum("n_sessions"))
    yield gauge("runners", "Queue runners at work, on all machines.", alive["n"])
    yield gauge("sessions", "SMTP sessions that they hold.", alive["sessions"] or 0)
    settings = conf.current()
    limit = settings.sessions * max(alive["n"], settings.workers)
    text = "SMTP sessions that the runners may hold: MAILWEIR_SESSIONS for each worker or runner."
    yield gauge("sessions_limit", text, limit)
    seen = pulse.last()
    if seen is not None:
        text = "When the watch last went round; alerts are as old as that."
        yield gauge("watch_last_run_timestamp_seconds", text, seen.timestamp())


def _redis_answers() -> bool:
    if events.hangs():
        return False
    try:
        events.redis().ping()
    except (RedisError, OSError):
        return False
    return True
