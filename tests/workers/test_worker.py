"""Our RQ worker against a real Valkey: stop, FLUSHALL, kill -9, Redis away."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from rq import Queue
from rq.worker import Worker as RqWorker

from tests.processes import die_with_parent, parent_and_state
from tests.valkey import ValkeyServer
from tests.workers.test_supervisor import is_alive, until

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import os, signal, sys
import django
django.setup()
from queueapp.workers import logs
from queueapp.workers.worker import Worker
import redis
logs.configure()
def ready():
    if "stop" in sys.argv:
        os.kill(os.getpid(), signal.SIGTERM)
    open(sys.argv[3], "w").close()
url, slot = sys.argv[1:3]
client = redis.Redis.from_url(url)
Worker(["runners"], connection=client, slot=slot, ready=ready).work(logging_level="WARNING")
"""


class Running:
    def __init__(self, url: str, folder: Path, slot: str = "here-1") -> None:
        mark = folder / f"ready-{len(list(folder.glob('ready-*')))}"
        self.log = folder / f"{mark.name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", RUN, url, slot, str(mark)],
                cwd=ROOT,
                env=os.environ | {"DJANGO_SETTINGS_MODULE": "dashboard.settings"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        until(lambda: mark.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()

    @property
    def pid(self) -> int:
        return self.process.pid


@pytest.fixture
def queue(valkey: ValkeyServer) -> Iterator[Queue]:
    with redis.Redis.from_url(valkey.url) as client:
        yield Queue("runners", connection=client)


@pytest.fixture
def start(valkey: ValkeyServer, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def begin(url: str = "", **options: str) -> Running:
        made.append(Running(url or valkey.url, tmp_path, **options))
        return made[-1]

    yield begin
    for each in made:
        each.process.kill()
        each.process.wait()


def horse(path: Path) -> int:
    def read() -> int:
        with contextlib.suppress(OSError, ValueError):
            return int(path.read_text())
        return 0

    return int(until(read))


def names(queue: Queue) -> list[str]:
    return [worker.name for worker in RqWorker.all(queue=queue)]


def test_it_works(queue: Queue, start: Callable[..., Running], tmp_path: Path) -> None:
    worker = start()
    assert names(queue) == [f"here-1.{worker.pid}"]
    queue.enqueue("tests.workers.jobs.note", str(tmp_path / "note"), result_ttl=0)
    assert horse(tmp_path / "note") != worker.pid
    worker.process.terminate()
    assert worker.process.wait(5) == 0
    assert names(queue) == []


def test_it_ends_in_order_when_told_to_stop_right_after_it_is_registered(
    queue: Queue, valkey: ValkeyServer, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, valkey.url, "here-1", str(tmp_path / "ready"), "stop"],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "dashboard.settings"},
        capture_output=True,
        timeout=20,
    )
    assert (tmp_path / "ready").exists(), done.stderr
    assert done.returncode == 0, done.stderr
    assert names(queue) == []


def test_it_hands_sigterm_on_and_waits_for_the_job(
    queue: Queue, start: Callable[..., Running], tmp_path: Path
) -> None:
    worker = start()
    queue.enqueue("tests.workers.jobs.until_told", str(tmp_path / "job"))
    pid = horse(tmp_path / "job")
    worker.process.terminate()
    assert worker.process.wait(8) == 0
    assert (tmp_path / "job.ended").exists()
    assert not is_alive(pid)


def test_it_ends_the_job_of_a_killed_worker(
    queue: Queue, start: Callable[..., Running], tmp_path: Path
) -> None:
    worker = start()
    queue.enqueue("tests.workers.jobs.until_told", str(tmp_path / "job"))
    pid = horse(tmp_path / "job")
    worker.process.kill()
    worker.process.wait()
    until(lambda: (tmp_path / "job.ended").exists(), 5)
    until(lambda: not is_alive(pid), 5)


def test_its_successor_removes_what_it_left(
    queue: Queue, start: Callable[..., Running], tmp_path: Path
) -> None:
    other, killed = start(slot="there-1"), start()
    killed.process.kill()
    killed.process.wait()
    assert len(names(queue)) == 2  # RQ has not noticed
    successor = start()
    assert sorted(names(queue)) == [f"here-1.{successor.pid}", f"there-1.{other.pid}"]
    assert not queue.connection.exists(f"rq:worker:here-1.{killed.pid}")


def test_it_works_on_after_a_killed_job(queue: Queue, start: Callable[..., Running], tmp_path: Path) -> None:
    start()
    queue.enqueue("tests.workers.jobs.until_told", str(tmp_path / "job"))
    os.kill(horse(tmp_path / "job"), signal.SIGKILL)
    queue.enqueue("tests.workers.jobs.note", str(tmp_path / "note"))
    assert horse(tmp_path / "note")


def test_it_takes_jobs_after_flushall_while_idle(
    queue: Queue, start: Callable[..., Running], tmp_path: Path
) -> None:
    start()
    queue.connection.flushall()
    queue.enqueue("tests.workers.jobs.note", str(tmp_path / "note"))
    assert horse(tmp_path / "note")


def test_it_is_listed_again_after_flushall_under_a_job(
    queue: Queue, start: Callable[..., Running], tmp_path: Path
) -> None:
    worker = start()
    queue.enqueue("tests.workers.jobs.until_there", str(tmp_path / "job"))
    horse(tmp_path / "job")
    queue.connection.flushall()
    until(lambda: names(queue) == [f"here-1.{worker.pid}"], 20)
    (tmp_path / "job.go").touch()
    until(lambda: (tmp_path / "job.ended").exists())
    queue.enqueue("tests.workers.jobs.note", str(tmp_path / "note"))
    assert horse(tmp_path / "note")
    assert worker.process.poll() is None


def test_it_outlives_a_restart_of_redis(start: Callable[..., Running], tmp_path: Path) -> None:
    socket = tmp_path / "v.sock"
    with ValkeyServer(socket) as server:
        worker = start(server.url)
        with redis.Redis.from_url(server.url) as client:
            Queue("runners", connection=client).enqueue(
                "tests.workers.jobs.until_there", str(tmp_path / "job")
            )
        pid = horse(tmp_path / "job")
    until(lambda: "no heartbeat" in worker.log.read_text(), 20)  # it noticed, and left the job alone
    assert is_alive(pid)
    assert parent_and_state(pid)[0] == worker.pid
    with ValkeyServer(socket) as server:
        (tmp_path / "job.go").touch()
        with redis.Redis.from_url(server.url) as client:
            Queue("runners", connection=client).enqueue("tests.workers.jobs.note", str(tmp_path / "note"))
        assert horse(tmp_path / "note")
        assert worker.process.poll() is None


def test_it_stops_while_redis_is_away(start: Callable[..., Running], tmp_path: Path) -> None:
    with ValkeyServer(tmp_path / "v.sock") as server:
        worker = start(server.url)
    worker.process.terminate()
    assert worker.process.wait(8) == 0
