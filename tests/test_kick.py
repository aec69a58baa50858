"""Kicks and the sweep, on a real Valkey with real RQ jobs: a runner is started, once, and never in vain."""

from __future__ import annotations

import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone
from rq import Queue
from rq.job import Job, JobStatus
from rq.worker import Worker

from queueapp import conf, events, kick
from queueapp.engine.sweep import has_due, sweep
from queueapp.models import RecipientDomain
from tests.engine.queue import put
from tests.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def queue(valkey: ValkeyServer) -> Queue:
    return Queue(kick.QUEUE, connection=events.redis())


# ── Kicks ─────────────────────────────────────────────────────────────────────────────────────


def test_a_kick_that_nobody_hears_starts_one_runner_and_no_second(queue: Queue) -> None:
    for _ in range(3):
        kick.kick()
    assert queue.job_ids == ["runner-0"]
    job = queue.fetch_job("runner-0")
    assert job.func_name == "queueapp.workers.jobs.run"
    assert job.args == ("runner-0",)


def test_a_kick_waits_for_the_commit_and_dies_with_a_rollback(queue: Queue) -> None:
    with transaction.atomic():
        kick.kick()
        assert queue.job_ids == []
        transaction.set_rollback(True)
    assert queue.job_ids == []
    with transaction.atomic():
        kick.kick()
    assert queue.job_ids == ["runner-0"]


def test_a_runner_that_listens_hears_it_and_none_is_started(queue: Queue) -> None:
    listener = events.redis().pubsub()
    listener.subscribe(kick.CHANNEL)
    assert listener.get_message(timeout=5)["type"] == "subscribe"
    kick.kick()
    assert listener.get_message(timeout=5)["type"] == "message"
    assert queue.job_ids == []
    listener.close()


def test_accepted_mail_kicks(queue: Queue) -> None:
    put("bob@example.net")
    assert queue.job_ids == ["runner-0"]


def test_a_runner_that_runs_but_no_longer_listens_gets_a_successor(queue: Queue) -> None:
    kick.start(0)
    _begin(queue, "runner-0", is_alive=True)
    kick.kick()
    kick.kick()
    assert queue.job_ids == ["runner-0-next"]


@pytest.mark.usefixtures("no_redis")
def test_without_redis_nothing_is_raised() -> None:
    put("bob@example.net")
    kick.kick()
    events.publish("deliveries", accepted=1)
    assert sweep() == 0


@pytest.fixture
def no_redis(tmp_path: Path):  # type: ignore[no-untyped-def]
    with conf.override(redis_url=f"unix://{tmp_path / 'nobody.sock'}"):
        yield


def test_a_redis_that_hangs_is_waited_for_once_and_not_at_every_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "_left_alone_until", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        host, port = mute.getsockname()
        with conf.override(redis_url=f"redis://{host}:{port}/0"):
            assert not events.hangs()
            kick.kick()
            assert events.hangs()
            began = time.monotonic()
            for n in range(20):  # each of them would wait for 3 s
                put("bob@example.net", name=str(n))
            assert time.monotonic() - began < 30
    monkeypatch.setattr(events, "_left_alone_until", 0.0)


# ── Leftovers ─────────────────────────────────────────────────────────────────────────────────


def _begin(queue: Queue, job_id: str, *, is_alive: bool) -> Job:
    """As a worker takes a job from the queue; `is_alive`: that worker is still there."""
    job = queue.fetch_job(job_id)
    queue.remove(job)
    worker = Worker([queue], connection=queue.connection, name="w1")
    if is_alive:
        worker.register_birth()
    job.worker_name = worker.name
    job.set_status(JobStatus.STARTED)
    job.save()
    return job


def test_a_runner_that_is_queued_or_at_work_is_left_alone(queue: Queue) -> None:
    assert kick.start(0)
    assert not kick.start(0)
    _begin(queue, "runner-0", is_alive=True)
    assert not kick.start(0)
    assert queue.fetch_job("runner-0").is_started


def test_a_runner_without_its_worker_is_replaced(queue: Queue) -> None:
    kick.start(0)
    _begin(queue, "runner-0", is_alive=False)
    assert kick.start(0)
    assert queue.job_ids == ["runner-0"]
    assert queue.fetch_job("runner-0").is_queued


def test_a_runner_whose_machine_was_lost_is_replaced_though_rq_cannot_delete_it(queue: Queue) -> None:
    kick.start(0)
    job = _begin(queue, "runner-0", is_alive=False)
    # Its execution has expired with the heartbeats; the list of them has not.
    queue.connection.zadd(job.execution_registry.key, {"expired": time.time() + 60})
    assert kick.start(0)
    assert queue.job_ids == ["runner-0"]


@pytest.mark.parametrize("status", ["failed", "finished", "stopped", "canceled"])
def test_a_runner_that_is_over_is_replaced(queue: Queue, status: str) -> None:
    kick.start(0)
    job = queue.fetch_job("runner-0")
    queue.remove(job)
    job.set_status(JobStatus(status))
    assert kick.start(0)
    assert queue.fetch_job("runner-0").is_queued


def test_a_runner_that_is_queued_in_name_only_is_replaced(queue: Queue) -> None:
    kick.start(0)
    queue.remove("runner-0")
    assert kick.start(0)
    assert queue.job_ids == ["runner-0"]


def test_a_runner_that_a_worker_takes_right_now_is_left_alone(queue: Queue) -> None:
    kick.start(0)
    queue.remove("runner-0")
    queue.connection.rpush(queue.intermediate_queue_key, "runner-0")
    assert not kick.start(0)


def test_flushall_is_no_obstacle(queue: Queue) -> None:
    kick.start(0)
    queue.connection.flushall()
    assert kick.start(0)
    assert queue.job_ids == ["runner-0"]


# ── The sweep ─────────────────────────────────────────────────────────────────────────────────


def test_the_sweep_starts_a_runner_for_each_worker_when_mail_is_due(queue: Queue) -> None:
    put("bob@example.net")
    queue.connection.flushall()
    with conf.override(workers=3):
        assert sweep() == 3
        assert sorted(queue.job_ids) == ["runner-0", "runner-1", "runner-2"]
        assert sweep() == 0


def test_the_sweep_starts_none_where_this_machine_only_accepts(queue: Queue) -> None:
    put("bob@example.net")
    queue.connection.flushall()
    with conf.override(workers=0):
        assert sweep() == 0


def test_workers_of_other_machines_count(queue: Queue) -> None:
    for name in ("w1", "w2"):
        Worker([queue], connection=queue.connection, name=name).register_birth()
    with conf.override(workers=1):
        assert kick.n_workers() == 2


def test_nothing_is_started_when_nothing_is_due(queue: Queue) -> None:
    assert sweep() == 0
    put("bob@example.net", send_at=timezone.now() + timedelta(hours=1))
    queue.connection.flushall()
    assert sweep() == 0
    assert queue.job_ids == []


@pytest.mark.usefixtures("valkey")
def test_suspended_domains_are_nothing_to_start_for() -> None:
    put("bob@example.net")
    now = timezone.now()
    RecipientDomain.objects.update(suspended_at=now)
    assert not has_due()
    RecipientDomain.objects.update(suspended_until=now - timedelta(seconds=1))
    assert has_due()


def test_a_kick_is_quick(queue: Queue) -> None:
    start = time.perf_counter()
    for _ in range(50):
        kick.kick()
    assert time.perf_counter() - start < 2
