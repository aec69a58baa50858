"""Our RQ worker: RQ's own, made to stop in seconds, to survive FLUSHALL, and to clean up after kill -9.

What differs from RQ's, and why:
- SIGTERM is handed on to the job, which knows how to end well; RQ would wait until it is done.
- The job gets SIGTERM when its worker dies; RQ would leave it running with nobody to know of it.
- Every heartbeat registers the worker anew; after a FLUSHALL RQ would stay unlisted for ever.
- A worker of a slot removes what its killed predecessor left; RQ would wait for it to expire.
- No thread listens for commands: runners end by themselves, and a fork with threads is a risk.
- From the moment it is registered, SIGTERM ends it in order; RQ listens for signals only some steps later.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis
from rq import Worker as RqWorker
from rq import worker_registration
from rq.job import Job
from rq.queue import Queue
from rq.utils import as_text

from queueapp.workers import process

# Seconds. A lost worker is missed after TTL + 60; an abandoned job is found after about twice MONITOR + 60.
TTL = 30
MONITOR = 5
MAINTENANCE = 60
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
log = logging.getLogger(__name__)


class Worker(RqWorker):
    """`slot` names this machine's n-th worker; "" is one that stands alone."""

    max_connection_wait_time = 5.0
    log_job_description = False
    log_result_lifespan = False

    def __init__(
        self, *args: Any, slot: str = "", ready: Callable[[], None] | None = None, **kwargs: Any
    ) -> None:
        kwargs["worker_ttl"] = TTL
        kwargs.setdefault("job_monitoring_interval", MONITOR)
        kwargs.setdefault("maintenance_interval", MAINTENANCE)
        if slot and not kwargs.get("name"):
            kwargs["name"] = f"{slot}.{os.getpid()}"
        super().__init__(*args, **kwargs)
        self.slot = slot
        self._ready = ready

    # ── Registration ──────────────────────────────────────────────────────────────────────────

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        self._forget_predecessors()
        super().bootstrap(*args, **kwargs)
        if self._ready:
            self._ready()

    def _forget_predecessors(self) -> None:
        if not self.slot:
            return
        prefix = f"{self.redis_worker_namespace_prefix}{self.slot}."
        for member in self.connection.smembers(self.redis_workers_keys):
            key = as_text(member)
            if key.startswith(prefix) and key != self.key:
                with self.connection.pipeline() as pipeline:
                    pipeline.delete(key)
                    pipeline.srem(self.redis_workers_keys, key)
                    for name in self.queue_names():
                        pipeline.srem(worker_registration.WORKERS_BY_QUEUE_KEY % name, key)
                    pipeline.execute()

    def register_birth(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        super().register_birth()

    def check_for_suspension(self, burst: bool) -> None:
        """The first step of RQ's loop, and so the first place where a request to stop is caught."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        super().check_for_suspension(burst)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        super().heartbeat(timeout, pipeline)
        if pipeline is None:
            with self.connection.pipeline() as ours:
                ours.hset(self.key, mapping=self.serialize())
                worker_registration.register(self, ours)
                ours.expire(self.key, timeout or self.worker_ttl + 60)
                ours.execute()

    def maintain_heartbeats(self, job: Job, execution: Any) -> None:
        """Redis that is away for a while is no reason to leave the job alone."""
        try:
            super().maintain_heartbeats(job, execution)
            self.heartbeat()
        except redis.RedisError as error:
            log.warning("no heartbeat: Redis does not answer (%s)", error)

    def subscribe(self) -> None:
        """No commands: see the head of this file."""

    def unsubscribe(self) -> None:
        """Nothing to leave."""

    def register_death(self) -> None:
        with suppress(redis.RedisError):
            super().register_death()

    # ── Stopping ──────────────────────────────────────────────────────────────────────────────

    def handle_warm_shutdown_request(self) -> None:
        if self.horse_pid:
            process.send(self.horse_pid, signal.SIGTERM)

    def set_shutdown_requested_date(self) -> None:
        with suppress(redis.RedisError):
            super().set_shutdown_requested_date()

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """RQ's, in which a SIGTERM between the fork and the note of the pid would miss the job."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            super().fork_work_horse(job, queue)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        process.prctl(15, b"mw-runner")
        process.end_with_parent(self.pid or os.getppid())
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        super().setup_work_horse_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
