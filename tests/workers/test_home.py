"""The home: one `up` at a time, writable, files that are never half written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from queueapp.workers import home
from tests.processes import die_with_parent

HOLDER = """
import sys, os, time
from pathlib import Path
from queueapp.workers import home
lock = home.Lock(Path(sys.argv[1]))
pid = os.fork() if len(sys.argv) > 2 else 1
print(pid, flush=True)
if pid:
    sys.stdin.read()
else:
    time.sleep(float(sys.argv[2]))
"""


def holder(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """Another process that holds the lock of the home, when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *more],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=die_with_parent,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def test_it_works(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "home"
    home.check(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in folder.iterdir()] == ["static"]
    lock = home.Lock(folder)
    lock.release()
    home.Lock(folder).release()


def test_it_refuses_a_second_one_and_tells_the_first(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        home.write(tmp_path / "run.json", {"http": "http://127.0.0.1:4711", "pid": first.pid})
        with pytest.raises(home.HomeFailed) as refused:
            home.Lock(tmp_path)
        first.kill()
    assert f"with pid {first.pid}" in str(refused.value)
    assert "http://127.0.0.1:4711" in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_it_waits_for_what_a_killed_one_left(tmp_path: Path) -> None:
    said: list[str] = []
    with holder(tmp_path, "1.0") as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        home.Lock(tmp_path, said.append).release()
    assert len(said) == 1
    assert "earlier" in said[0]


def test_it_names_what_is_left_and_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "_LEFTOVERS_GO_WITHIN", 0.2)
    with holder(tmp_path, "3.0") as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        with pytest.raises(home.HomeFailed, match="still alive"):
            home.Lock(tmp_path)


def test_it_refuses_a_home_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(home.HomeFailed, match="MAILWEIR_HOME=.*Not a directory"):
        home.check(tmp_path / "file" / "home")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_it_refuses_a_home_that_belongs_to_another(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(home.HomeFailed, match="Permission denied"):
        home.check(tmp_path)


def test_it_tells_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / f".probe-{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(home.HomeFailed, match="No space left.*Make room"):
        home.check(tmp_path)
    assert not (tmp_path / f".probe-{os.getpid()}").is_symlink()


def test_it_keeps_the_old_file_where_the_new_one_can_not_be_written(tmp_path: Path) -> None:
    path = tmp_path / "parts.json"
    home.write(path, {"n": 1})
    (tmp_path / f".parts.json.{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space"):
        home.write(path, {"n": 2})
    assert home.read(path) == {"n": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["parts.json"]


@pytest.mark.parametrize("content", ["", "{", "[1]", '"text"'])
def test_it_reads_rubbish_as_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    assert home.read(tmp_path / "run.json") == {}
