"""Wake a queue runner: the only place that puts jobs into RQ.

A runner that is up hears the kick within milliseconds. Where none listens, one is started.
Both are hints: the sweep (engine/sweep.py) finds due mail without them, so a lost kick
delays mail by seconds and loses none.
"""

from __future__ import annotations

import logging

import redis as redis_py
from django.db import transaction
from rq import Queue
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job, JobStatus
from rq.worker import Worker

from queueapp import conf, events
from queueapp.hints import Hint

CHANNEL = "mailweir:kick"
QUEUE = "runners"
NEXT = "-next"
JOB = "queueapp.workers.jobs.run"
# A runner ends by itself after a minute; RQ's own limit is only for one that hangs.
JOB_TIMEOUT = 900
FAILURE_TTL = 3600
_DEAD = (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED)
log = logging.getLogger(__name__)


def kick() -> None:
    """There is mail due: once the current transaction is committed, some runner must look."""
    # Robust: what is committed is accepted, and must not look refused because Redis has a bad day.
    transaction.on_commit(_hint.tell, robust=True)


def _kick() -> None:
    if events.hangs():
        return
    try:
        if events.redis().publish(CHANNEL, b"1") or start(0):
            return
        if is_started(QUEUE, "runner-0"):
            # It runs but does not listen: it has looked for the last time, or for the first.
            start(0, "-next")
    except redis_py.RedisError as error:
        events.note(error)
        log.debug("nobody was kicked: %s", error)


_hint = Hint(_kick)


def is_started(queue_name: str, job_id: str) -> bool:
    queue = Queue(queue_name, connection=events.redis())
    try:
        return Job.fetch(job_id, connection=queue.connection).is_started
    except NoSuchJobError:
        return False


def n_workers() -> int:
    """RQ workers that serve runners, on all machines; at least this machine's own.

    The registry alone is no answer: it is empty after a FLUSHALL, while the workers go on.
    """
    queue = Queue(QUEUE, connection=events.redis())
    return max(Worker.count(queue=queue), conf.current().workers)


def start(number: int, suffix: str = "") -> bool:
    """Enqueue the runner `number` unless it is queued or runs. True where a job was added."""
    return ensure(QUEUE, JOB, f"runner-{number}{suffix}", "queue runner")


def ensure(queue_name: str, path: str, job_id: str, description: str) -> bool:
    """Enqueue this job unless it is queued or runs, with its id as its argument. True where it was added."""
    queue = Queue(queue_name, connection=events.redis())
    try:
        return _enqueue(queue, path, job_id, description)
    except DuplicateJobError:
        return _forget_dead(queue, job_id) and _try_enqueue(queue, path, job_id, description)


def _try_enqueue(queue: Queue, path: str, job_id: str, description: str) -> bool:
    try:
        return _enqueue(queue, path, job_id, description)
    except DuplicateJobError:
        return False


def _enqueue(queue: Queue, path: str, job_id: str, description: str) -> bool:
    queue.enqueue(
        path,
        job_id,
        job_id=job_id,
        unique=True,
        job_timeout=JOB_TIMEOUT,
        result_ttl=0,
        failure_ttl=FAILURE_TTL,
        description=description,
    )
    return True


def _forget_dead(queue: Queue, job_id: str) -> bool:
    """Remove a job of that name which will never run again. RQ itself notices only after minutes."""
    try:
        job = Job.fetch(job_id, connection=queue.connection)
    except NoSuchJobError:
        return True
    if _may_run(queue, job):
        return False
    try:
        job.delete()
    except ValueError:
        # RQ can't delete a job whose execution has expired, as it does when its whole machine was lost.
        queue.connection.delete(job.execution_registry.key)
        job.delete()
    return True


def _may_run(queue: Queue, job: Job) -> bool:
    status = job.get_status(refresh=False)
    if status == JobStatus.QUEUED:
        # In this order: between two looks a worker may take it, and a job at work must not be removed.
        if job.get_position() is not None or _just_taken(queue, job.id):
            return True
        status = job.get_status(refresh=True)
        if status == JobStatus.QUEUED:
            return job.get_position() is not None
    if status == JobStatus.STARTED:
        return _has_worker(job)
    return status not in _DEAD


def _just_taken(queue: Queue, job_id: str) -> bool:
    """Between the queue and the worker a job stands in RQ's intermediate list."""
    waiting = queue.connection.lrange(queue.intermediate_queue_key, 0, -1)
    return job_id.encode() in waiting


def _has_worker(job: Job) -> bool:
    return bool(job.worker_name) and bool(
        job.connection.exists(f"{Worker.redis_worker_namespace_prefix}{job.worker_name}")
    )
