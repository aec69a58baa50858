"""`manage.py up` as its users live with it: start, kill this and that, stop."""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from queueapp.conf import Address
from queueapp.workers.listening import bind
from tests.processes import descendants, parent_and_state
from tests.system import System
from tests.workers.test_supervisor import is_alive, until


def part(system: System, name: str) -> dict[str, Any]:
    found = json.loads((system.home / "parts.json").read_text())["parts"]
    return next(each for each in found if each["name"] == name)


def names(system: System) -> set[str]:
    return {each["name"] for each in json.loads((system.home / "parts.json").read_text())["parts"]}


def send(system: System, recipient: str) -> None:
    with smtplib.SMTP(*system.smtp_address, timeout=20) as client:
        client.sendmail("a@demo.test", [recipient], f"To: {recipient}\r\nSubject: hello\r\n\r\nhello\r\n")


def n_delivered(system: System) -> int:
    return int(json.loads(system.manage("queue", "count", "state:delivered", "--json").stdout)["count"])


def restarted(system: System, name: str, before: int) -> dict[str, Any]:
    found = until(lambda: (new := part(system, name))["pid"] not in (None, before) and new)
    assert found["state"] == "running"
    return dict(found)


@pytest.fixture
def own(empty_database_url: str) -> Iterator[System]:
    """A new system that this test may break."""
    with System(database_url=empty_database_url, is_new=True) as running:
        yield running


def test_it_works(system: System) -> None:
    assert set(system.run) == {"http", "smtp", "sandbox", "route", "pid", "ready"}
    assert system.run["pid"] == system.pid
    with urllib.request.urlopen(f"{system.http}/livez", timeout=10) as answer:
        assert answer.status == 200
    send(system, "ok@works.test")
    until(lambda: n_delivered(system) == 1, 30)
    assert names(system) == {
        "valkey",
        "sandbox",
        "web",
        "smtpd",
        "worker-1",
        "worker-2",
        "operator",
        "scheduler",
        "watch",
    }
    assert re.search(r"^smtpd +127\.0\.0\.1:\d+$", system.log(), re.MULTILINE)


def test_every_part_comes_back_where_it_was(system: System) -> None:
    before = dict(system.run)
    for name in ("web", "smtpd", "sandbox", "scheduler", "watch", "worker-1", "valkey"):
        pid = part(system, name)["pid"]
        os.kill(pid, signal.SIGKILL)
        found = restarted(system, name, pid)
        assert (found["n_restarts"], found["last_exit"]) == (1, "SIGKILL"), name
    assert system.run == before
    n = n_delivered(system)
    send(system, "ok@again.test")
    until(lambda: n_delivered(system) == n + 1, 40)


def test_a_second_one_is_refused_and_told_of_the_first(system: System) -> None:
    second = system.manage("up", check=False)
    assert second.returncode == 1
    assert f"with pid {system.pid} at {system.http}" in second.stderr
    assert "Traceback" not in second.stderr
    assert system.run["ready"] is True


def test_mail_flows_on_after_flushall(system: System) -> None:
    n = n_delivered(system)
    with redis.Redis(unix_socket_path=str(system.home / "valkey.sock")) as client:
        client.flushall()
    send(system, "ok@flushed.test")
    until(lambda: n_delivered(system) == n + 1, 20)


@pytest.mark.timed
def test_it_ends_in_order_and_starts_fast_again(own: System) -> None:
    address = own.http
    for sign in (signal.SIGTERM, signal.SIGINT):
        assert own.stop(sign) < 10
        assert own.run == {}
        own.start()
        assert own.ready_after < 5
    assert own.http != address or own.http  # port 0: any free port
    assert own.log().count("password:") == 1  # shown at the first start only


def test_nothing_is_left_when_it_is_killed_and_the_next_one_starts(own: System) -> None:
    send(own, "slow@left.test")  # a runner is at work
    until(lambda: len(descendants(own.pid)) >= 8)
    left = own.children()
    assert own.process is not None
    own.process.kill()
    own.process.wait()
    own.process = None
    own.start()  # waits for the old ones
    assert not any(is_alive(pid) for pid in left)
    send(own, "ok@left.test")
    until(lambda: n_delivered(own) >= 1, 30)


@pytest.mark.timed
def test_it_stops_within_its_time_while_a_receiver_is_slow(own: System) -> None:
    send(own, "slow@slow.test")
    until(lambda: len(descendants(own.pid)) >= 8)
    assert own.stop() < 10


# Refusals: each one line that says what to do.


def refused(system: System, **settings: str) -> subprocess.CompletedProcess[str]:
    system.env |= settings
    return system.manage("up", check=False, timeout=60)


@pytest.fixture
def idle(tmp_path: Path) -> System:
    """A system that was never started."""
    (tmp_path / "h").mkdir(mode=0o700)
    return System(home=tmp_path / "h", is_new=True)


def test_it_names_who_holds_its_port(idle: System) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = refused(idle, MAILWEIR_SMTP=f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"MAILWEIR_SMTP=127.0.0.1:{port}: the port is taken by" in done.stderr
    assert f"(pid {os.getpid()})" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_it_says_that_the_database_is_away(idle: System) -> None:
    with bind("X", Address("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = refused(idle, DATABASE_URL=f"postgres://me:secret@127.0.0.1:{port}/mail")
    assert done.returncode == 1
    assert f"PostgreSQL at 127.0.0.1:{port}, database 'mail', user 'me'" in done.stderr
    assert "DATABASE_URL" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
    assert idle.children() == set()


def test_it_says_that_redis_is_away(idle: System) -> None:
    done = refused(idle, REDIS_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 1
    assert "Redis at 127.0.0.1:1 does not answer" in done.stderr
    assert idle.children() == set()


def test_it_refuses_a_home_whose_socket_path_is_too_long(tmp_path: Path) -> None:
    done = refused(System(home=tmp_path / ("x" * 110)))
    assert done.returncode == 1
    assert "107 are allowed" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_refuses_a_home_that_can_not_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = refused(System(home=tmp_path / "file" / "h"))
    assert done.returncode == 1
    assert f"MAILWEIR_HOME={tmp_path}/file/h can't be written (Not a directory)" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_refuses_a_wrong_setting(idle: System) -> None:
    done = refused(idle, MAILWEIR_WORKERS="many")
    assert done.returncode == 2
    assert "MAILWEIR_WORKERS='many' is not allowed: a whole number from 0 to 64" in done.stderr


def test_it_says_why_a_part_never_starts(idle: System) -> None:
    (idle.home / "valkey").write_text("in the way")
    done = refused(idle)
    assert done.returncode == 1
    assert "valkey does not start: it ended 5 times, at last with exit 1" in done.stderr
    assert idle.children() == set()


def test_it_warns_of_what_will_hurt(idle: System) -> None:
    idle.env["MAILWEIR_MAX_SIZE"] = "9KB"
    try:
        idle.start()
        until(lambda: "mailweir.W009" in idle.log())
        assert idle.stop() < 10
    finally:
        idle.close()


# Each part alone


@pytest.mark.parametrize("name", ["web", "smtpd", "sandbox", "scheduler", "watch"])
def test_a_part_runs_alone_and_ends_well(idle: System, name: str) -> None:
    idle.manage("migrate", "--verbosity", "0")
    with subprocess.Popen(
        [sys.executable, "manage.py", name],
        cwd=Path(__file__).resolve().parents[2],
        env=idle.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(name), process.stderr and process.stderr.read()
        if name not in ("scheduler", "watch"):
            host, _, port = line.split()[1].removeprefix("http://").rpartition(":")
            key = {"web": "http", "smtpd": "smtp"}.get(name, name)
            assert idle.run[key].endswith(f"{host}:{port}")
            assert idle.run["ready"] is True
            socket.create_connection((host, int(port)), 5).close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert idle.run == {}


def test_an_rq_worker_runs_alone(system: System) -> None:
    with (
        subprocess.Popen(
            [sys.executable, "manage.py", "rqworker"],
            cwd=Path(__file__).resolve().parents[2],
            env=system.env,
            stdin=subprocess.DEVNULL,
        ) as process,
        redis.Redis(unix_socket_path=str(system.home / "valkey.sock")) as client,
    ):
        until(lambda: client.scard("rq:workers:runners") == 3, 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert client.scard("rq:workers:runners") == 2


def test_an_rq_worker_without_redis_says_so(idle: System) -> None:
    done = idle.manage("rqworker", check=False)
    assert done.returncode == 1
    assert "valkey.sock" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_operation_is_done_by_a_worker_of_its_own(system: System) -> None:
    """Killed in the middle, another one takes its place."""
    send(system, "ann+defer@operated.test")
    waiting = ("queue", "count", "domain:operated.test", "state:deferred")
    until(lambda: system.manage(*waiting).stdout == "1\n", 30)
    before = part(system, "operator")["pid"]
    os.kill(before, signal.SIGKILL)
    restarted(system, "operator", before)
    key = system.manage("apikey", "create", "operations", "--scope", "operate").stdout.strip()
    asked = {"action": "hold", "q": "domain:operated.test", "expect": 1, "reason": "look"}
    made = ask(system, key, "POST", "operations", asked)
    until(lambda: ask(system, key, "GET", f"operations/{made['id']}")["state"] == "done", 30)
    assert system.manage("queue", "count", "domain:operated.test", "state:held").stdout == "1\n"


def ask(system: System, key: str, method: str, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{system.http}/api/v1/{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def test_a_killed_worker_takes_its_runner_along(system: System) -> None:
    send(system, "slow@along.test")
    worker = until(
        lambda: next(
            (each for n in (1, 2) if descendants((each := part(system, f"worker-{n}"))["pid"])), None
        )
    )
    runner = next(iter(descendants(worker["pid"])))
    began = time.monotonic()
    os.kill(worker["pid"], signal.SIGKILL)
    until(lambda: not is_alive(runner), 15)
    assert time.monotonic() - began < 15
    assert parent_and_state(worker["pid"])[1] in "ZX"
