"""The supervisor with small real parts: restarts, order, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import die_with_parent, parent_and_state

ROOT = Path(__file__).resolve().parents[2]


def until(condition: Callable[[], Any], within: float = 20) -> Any:
    end = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
    return found


def is_alive(pid: int) -> bool:
    return parent_and_state(pid)[1] not in "ZX"


class Tree:
    def __init__(self, *parts: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="mw-tree-"))
        self.log = (self.home / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.workers.tree", str(self.home), *parts],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        until(lambda: (self.home / "ready").exists() or self.process.poll() is not None)

    def pid_of(self, name: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int((self.home / f"{name}.pid").read_text())
        return 0

    def events(self) -> list[str]:
        return (self.home / "events").read_text().splitlines()

    def shown(self, name: str) -> dict[str, Any]:
        found = json.loads((self.home / "parts.json").read_text())["parts"]
        return next(part for part in found if part["name"] == name)

    def end(self, sign: int = signal.SIGTERM, within: float = 11) -> float:
        began = time.monotonic()
        self.process.send_signal(sign)
        assert self.process.wait(within) == 0, (self.home / "log").read_text()
        return time.monotonic() - began

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()
        for name in self.home.glob("*.pid"):
            with contextlib.suppress(ProcessLookupError, ValueError):
                if is_alive(pid := int(name.read_text())):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def tree() -> Iterator[Callable[..., Tree]]:
    made: list[Tree] = []

    def make(*parts: str) -> Tree:
        made.append(Tree(*parts))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_it_works(tree: Callable[..., Tree]) -> None:
    running = tree("steady", "echo")
    assert running.shown("steady")["state"] == "running"
    assert running.shown("steady")["pid"] == running.pid_of("steady")
    assert running.end() < 3
    assert (running.home / "stopped").exists()
    assert running.shown("steady") | {"since": ""} == {
        "name": "steady", "pid": None, "address": "", "state": "stopped", "since": "", "n_restarts": 0,
        "last_exit": "exit 0",
    }  # fmt: skip


def test_it_starts_a_killed_part_again_and_shows_it(tree: Callable[..., Tree]) -> None:
    running = tree("steady")
    first = running.pid_of("steady")
    os.kill(first, signal.SIGKILL)
    until(lambda: running.pid_of("steady") != first)
    shown = until(lambda: (found := running.shown("steady"))["state"] == "running" and found)
    assert shown["n_restarts"] == 1
    assert shown["last_exit"] == "SIGKILL"
    assert "steady ended (SIGKILL)" in (running.home / "log").read_text()


def test_it_waits_longer_each_time_a_part_dies(tree: Callable[..., Tree]) -> None:
    running = tree("steady", "dying")
    began = time.monotonic()
    until(lambda: running.shown("dying")["n_restarts"] >= 4)
    # 0.1 + 0.2 + 0.4 s were waited before the fourth end.
    assert time.monotonic() - began > 0.3
    assert running.shown("dying")["last_exit"] == "exit 3"
    assert running.shown("steady")["n_restarts"] == 0
    log = (running.home / "log").read_text()
    assert "started again in 0.1 s" in log
    assert "started again in 0.4 s" in log


def test_it_keeps_the_port_and_the_connections_that_came_while_a_server_was_dead(
    tree: Callable[..., Tree],
) -> None:
    running = tree("echo")
    host, _, port = running.shown("echo")["address"].rpartition(":")
    first = running.pid_of("echo")
    os.kill(first, signal.SIGKILL)
    until(lambda: not is_alive(first))  # a process that dies may take one more connection along
    # No connection is refused, whether the new process is there yet or not.
    for _ in range(20):
        with socket.create_connection((host, int(port)), 10) as client:
            assert client.recv(100)
    assert running.pid_of("echo") != first


def test_it_stops_stage_by_stage(tree: Callable[..., Tree]) -> None:
    running = tree("steady:3", "steady:2", "steady:1", "steady:0")
    running.end()
    ends = [event for event in running.events() if event.endswith("end")]
    assert ends == ["steady-0 end", "steady-1 end", "steady-2 end", "steady-3 end"]


def test_it_kills_a_part_that_does_not_stop(tree: Callable[..., Tree]) -> None:
    running = tree("stubborn", "steady:3")
    took = running.end()
    assert 7.5 < took < 10
    assert not is_alive(running.pid_of("stubborn"))
    assert running.events()[-1] == "steady-3 end"  # the last stage outlives the killing
    assert "stubborn (pid" in (running.home / "log").read_text()


def test_it_hurries_at_the_second_signal(tree: Callable[..., Tree]) -> None:
    running = tree("stubborn", "steady:3")
    running.process.send_signal(signal.SIGINT)
    time.sleep(0.2)  # two signals at once would be one
    assert running.end(signal.SIGINT) < 4
    assert not is_alive(running.pid_of("stubborn"))


def test_it_leaves_no_grandchild_behind(tree: Callable[..., Tree]) -> None:
    running = tree("leaving")
    left = until(lambda: running.pid_of("left"))
    assert running.end() < 10
    assert not is_alive(left)


def test_it_adopts_the_child_of_a_killed_part(tree: Callable[..., Tree]) -> None:
    running = tree("leaving")
    left = until(lambda: running.pid_of("left"))
    os.kill(running.pid_of("leaving"), signal.SIGKILL)
    until(lambda: parent_and_state(left)[0] == running.process.pid)
    (running.home / "left.pid").unlink()
    again = until(lambda: running.pid_of("left"))
    running.end()
    assert not is_alive(left)
    assert not is_alive(again)


def test_it_ends_the_parts_when_the_supervisor_is_killed(tree: Callable[..., Tree]) -> None:
    running = tree("steady", "echo")
    pids = [running.pid_of("steady"), running.pid_of("echo")]
    running.process.kill()
    running.process.wait()
    until(lambda: not any(is_alive(pid) for pid in pids), 5)
    assert "steady end" in running.events()  # by SIGTERM, so it could end well


def test_it_keeps_ctrl_c_of_the_terminal_from_the_parts(tree: Callable[..., Tree]) -> None:
    running = tree("steady")
    assert os.getpgid(running.pid_of("steady")) != os.getpgid(running.process.pid)


def test_it_stops_when_the_terminal_goes(tree: Callable[..., Tree]) -> None:
    running = tree("steady")
    assert running.end(signal.SIGHUP) < 3


def test_a_child_holds_nothing_of_another_part(tree: Callable[..., Tree]) -> None:
    running = tree("echo", "steady")
    handles = [os.readlink(each.path) for each in os.scandir(f"/proc/{running.pid_of('steady')}/fd")]
    sockets = [each for each in handles if each.startswith("socket:")]
    assert sockets == []
    assert os.readlink(f"/proc/{running.pid_of('steady')}/fd/0") == "/dev/null"
