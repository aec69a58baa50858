"""Facts of this installation: Redis, runners and workers, disk, parts, and how long a write takes.

Nothing here waits long: Redis is asked with its own short limits, and what can't be known is None.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import datetime
from typing import Any

from django.db.models import Max
from redis.exceptions import RedisError
from rq import Queue
from rq.worker import Worker

from queueapp import conf, events, kick
from queueapp.models import Bookmark, Runner
from queueapp.watch.diagnosis.facts import System

_PROBE = "diagnosis-write"
_DOWN = ("restarting", "stopped")


def look(now: datetime, names_error: str | None = None) -> System:
    current = conf.current()
    n_runners = Runner.objects.alive().count()
    redis_error, n_workers = _redis(with_workers=n_runners == 0)
    free, total, inodes = _disk()
    return System(
        n_runners=n_runners,
        n_workers=n_workers,
        last_runner_at=None if n_runners else _last_runner(),
        wants_workers=current.workers,
        redis_error=redis_error,
        write_s=_write(now),
        disk_free=free,
        disk_total=total,
        inodes_free=inodes,
        parts_down=_parts_down(),
        route=current.route.kind,
        mx_port=current.mx_port,
        name_servers=", ".join(map(str, current.dns)) or "the system's",
        names_error=names_error,
    )


def _redis(*, with_workers: bool) -> tuple[str, int | None]:
    """(what is wrong, how many RQ workers there are)"""
    try:
        client = events.redis()
        client.ping()
        return "", _workers(client) if with_workers else None
    except RedisError as error:
        return str(error)[:200] or type(error).__name__, None


def _workers(client: Any) -> int:
    """RQ workers that gave a sign of life. One that was killed stays in RQ's list until another one tidies
    up, and its own key ends by itself."""
    with client.pipeline(transaction=False) as asked:
        for key in Worker.all_keys(queue=Queue(kick.QUEUE, connection=client)):
            asked.exists(key)
        return sum(asked.execute())


def _last_runner() -> datetime | None:
    return Runner.objects.aggregate(last=Max("ended_at"))["last"]


def _disk() -> tuple[int | None, int | None, float | None]:
    try:
        usage, stat = shutil.disk_usage(conf.current().home), os.statvfs(conf.current().home)
    except OSError:
        return None, None, None
    return usage.free, usage.total, stat.f_favail / stat.f_files if stat.f_files else None


def _write(now: datetime) -> float:
    """Seconds that one small commit takes. Raises the database's error where it can't."""
    began = time.monotonic()
    Bookmark.objects.update_or_create(name=_PROBE, defaults={"at": now})
    return time.monotonic() - began


def _parts_down() -> tuple[str, ...]:
    """Of `parts.json`, which the supervisor of this machine writes; a file that is wrong tells nothing."""
    try:
        parts: Any = json.loads((conf.current().home / "parts.json").read_bytes())["parts"]
        return tuple(str(each["name"])[:64] for each in parts[:200] if each.get("state") in _DOWN)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()
