"""Have a worker do what is to be done: one RQ job that serves all open operations.

A hint, like a kick: the sweep finds open operations without it, so an emptied Redis costs seconds.
"""

from __future__ import annotations

import logging

from django.db import transaction
from redis.exceptions import RedisError
from rq import Queue
from rq.worker import Worker

from queueapp import events, kick
from queueapp.models import Operation

QUEUE = "operations"
JOB = "queueapp.workers.jobs.operate"
JOB_ID = "operator-0"
log = logging.getLogger(__name__)


def wake() -> None:
    """Once the current transaction is committed."""
    transaction.on_commit(_wake, robust=True)


def _wake() -> None:
    if events.hangs():
        return
    try:
        start()
    except RedisError as error:
        events.note(error)
        log.debug("no worker was woken for operations: %s", error)


def start() -> bool:
    """True where a job was added. One that runs may have looked for the last time, so another follows."""
    if kick.ensure(QUEUE, JOB, JOB_ID, "operations"):
        return True
    return kick.is_started(QUEUE, JOB_ID) and kick.ensure(QUEUE, JOB, JOB_ID + kick.NEXT, "operations")


def sweep() -> int:
    """Open operations that no job serves get one."""
    if not Operation.objects.open().exists():
        return 0
    try:
        return int(kick.ensure(QUEUE, JOB, JOB_ID, "operations"))
    except RedisError:
        return 0


def is_served() -> bool:
    """Whether an RQ worker is there that takes operations."""
    try:
        return Worker.count(queue=Queue(QUEUE, connection=events.redis())) > 0
    except RedisError:
        return False
