"""System tells a start or a stop that breaks its promise from one that keeps it, and cleans up after both.

A small script stands in for `manage.py up`, since the real one doesn't misbehave on request.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.processes import parent_and_state
from tests.system import System, SystemFailed

GOOD = """
import json, os, signal, subprocess, sys, time
home = os.environ["MAILWEIR_HOME"]
child = subprocess.Popen(["sleep", "60"])
if ORPHAN:
    subprocess.run(["sh", "-c", "sleep 60 &"], start_new_session=True)
def stop(*_):
    child.kill(); child.wait()
    sys.exit(CODE)
signal.signal(signal.SIGTERM, stop if STOPS else signal.SIG_IGN)
print("all parts are up", flush=True)
run = {"http": "http://127.0.0.1:8000", "smtp": "[::1]:2525", "sandbox": "127.0.0.1:1025"}
with open(f"{home}/run.json.new", "w") as file:
    json.dump(run | {"pid": os.getpid(), "ready": True}, file)
os.rename(f"{home}/run.json.new", f"{home}/run.json")
time.sleep(60)
"""


class Pretend(System):
    """A System whose `up` is a script."""

    def __init__(self, tmp_path: Path, script: str) -> None:
        super().__init__(is_new=True)
        file = tmp_path / "up.py"
        file.write_text(script)
        self.command = (sys.executable, str(file))


def _good(*, code: int = 0, stops: bool = True, orphan: bool = False) -> str:
    return f"CODE, STOPS, ORPHAN = {code}, {stops}, {orphan}\n{GOOD}"


def _all_gone(pids: set[int]) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if all(parent_and_state(pid)[1] in "ZX" for pid in pids):
            return True
        time.sleep(0.02)
    return False


def test_it_works(tmp_path: Path) -> None:
    with Pretend(tmp_path, _good()) as system:
        assert system.http == "http://127.0.0.1:8000"
        assert system.smtp_address == ("::1", 2525)
        assert system.sandbox_address == ("127.0.0.1", 1025)
        assert "all parts are up" in system.log()
        children = system.children()
        assert len(children) == 1
        assert system.stop() < 10
    assert _all_gone(children)
    assert not system.home.exists()


def test_it_shows_the_log_of_a_start_that_failed(tmp_path: Path) -> None:
    system = Pretend(tmp_path, "import sys; print('no such port'); sys.exit(3)")
    with pytest.raises(SystemFailed, match=r"(?s)ended with 3 before it was ready.*no such port"), system:
        pytest.fail("it started")
    assert not system.home.exists()


def test_it_gives_up_on_a_start_that_hangs(tmp_path: Path) -> None:
    system = Pretend(tmp_path, "import time; print('waiting', flush=True); time.sleep(60)")
    with pytest.raises(SystemFailed, match=r"(?s)not ready after 1 s.*waiting"):
        system.start(within=1)
    pid = system.pid
    system.close()
    assert _all_gone({pid})


def test_it_refuses_another_exit_code(tmp_path: Path) -> None:
    with Pretend(tmp_path, _good(code=4)) as system, pytest.raises(SystemFailed, match="ended with 4"):
        system.stop()


def test_it_refuses_a_slow_stop(tmp_path: Path) -> None:
    with Pretend(tmp_path, _good(stops=False)) as system:
        children = system.children() | {system.pid}
        with pytest.raises(SystemFailed, match="still ran 0 s after"):
            system.stop(within=0.3)
    assert _all_gone(children)


def test_it_refuses_a_process_left_behind(tmp_path: Path) -> None:
    with Pretend(tmp_path, _good(orphan=True)) as system:
        children = system.children()
        assert len(children) == 2
        with pytest.raises(SystemFailed, match="left processes behind.*sleep"):
            system.stop()
    assert _all_gone(children)


def test_it_kills_everything_and_keeps_the_home(tmp_path: Path) -> None:
    with Pretend(tmp_path, _good(orphan=True)) as system:
        children = system.children() | {system.pid}
        system.kill()
        assert _all_gone(children)
        assert system.home.exists()
        assert system.start().pid not in children


def test_it_runs_other_commands_in_its_home() -> None:
    system = System()
    try:
        done = system.manage("help", "--commands")
        assert "migrate" in done.stdout.split()
        assert system.manage("no-such-command", check=False).returncode != 0
        with pytest.raises(SystemFailed, match="no-such-command ended with"):
            system.manage("no-such-command")
    finally:
        system.close()
