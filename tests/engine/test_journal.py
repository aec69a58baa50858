"""The ack journal: what outlives the process, what is read of it, and that it never grows for ever."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from queueapp.engine import journal
from queueapp.engine.journal import Journal
from queueapp.transports.base import Outcome

AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
OK = Outcome("delivered", "delivered", 250, "2.0.0", "Ok", host="mx.test", tls="TLSv1.3", stage="dot")


def read(folder: Path, runner: int = 1) -> list[tuple[str, list[tuple[int, int]]]]:
    return [(kind, claims) for kind, claims, _, _ in journal.replay(folder, runner)]


def segments(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_SEGMENT_SIZE", 200)


# ── What is read ──────────────────────────────────────────────────────────────────────────────


def test_it_tells_dots_and_replies_in_order(tmp_path: Path) -> None:
    ours = Journal(tmp_path, 1)
    ours.before_dot([(7, 1), (8, 2)])
    ours.replied([(7, 1), (8, 2)], [OK, OK], AT)
    ours.before_dot([(9, 1)])
    [dot, reply, last] = journal.replay(tmp_path, 1)
    assert dot == ("dot", [(7, 1), (8, 2)], [], None)
    assert reply == ("reply", [(7, 1), (8, 2)], [OK, OK], AT)
    assert last[:2] == ("dot", [(9, 1)])


def test_it_reads_one_runners_lines_only(tmp_path: Path) -> None:
    for runner in (1, 11, 111):
        Journal(tmp_path, runner).before_dot([(runner, 1)])
    assert read(tmp_path, 1) == [("dot", [(1, 1)])]
    assert journal.known_runners(tmp_path) == [1, 11, 111]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    ours = Journal(tmp_path, 1)
    ours.before_dot([(7, 1)])
    ours.replied([(7, 1)], [OK], AT)
    path = tmp_path / "1.1"
    path.write_bytes(path.read_bytes()[:-20])
    assert read(tmp_path) == [("dot", [(7, 1)])]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"d": 7}',
        b'{"d": [[1]]}',
        b'{"r": [[7, 1]], "o": []}',
        b'{"r": [[7, 1]], "o": [], "at": "2026-01-01T00:00:00+00:00"}',
        b'{"r": [[7, 1]], "o": [{"result": "delivered", "of_another_version": 1}], "at": "2026-01-01"}',
    ],
)
def test_a_line_that_makes_no_sense_hides_no_other(tmp_path: Path, line: bytes) -> None:
    ours = Journal(tmp_path, 1)
    ours.before_dot([(7, 1)])
    with (tmp_path / "1.1").open("ab") as file:
        file.write(line + b"\n")
    ours.before_dot([(8, 1)])
    assert read(tmp_path) == [("dot", [(7, 1)]), ("dot", [(8, 1)])]


def test_a_line_after_a_torn_one_is_whole(tmp_path: Path) -> None:
    ours = Journal(tmp_path, 1)
    real, ours._file = ours._file, -1
    with pytest.raises(OSError):
        ours.before_dot([(7, 1)])
    ours._file = real
    os.write(real, b'{"d": [[7')
    ours.before_dot([(8, 1)])
    assert read(tmp_path) == [("dot", [(8, 1)])]


# ── Segments ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("small_segments")
def test_segments_go_when_all_is_committed(tmp_path: Path) -> None:
    ours = Journal(tmp_path, 1)
    claims = [(n, 1) for n in range(50)]
    for claim in claims:
        ours.before_dot([claim])
        ours.replied([claim], [OK], AT)
    assert len(segments(tmp_path)) > 10
    ours.committed(claims)
    assert len(segments(tmp_path)) == 1


@pytest.mark.usefixtures("small_segments")
def test_a_reply_is_kept_until_its_commit_although_its_dot_is_elsewhere(tmp_path: Path) -> None:
    ours = Journal(tmp_path, 1)
    ours.before_dot([(7, 1)])
    for n in range(100, 110):
        ours.before_dot([(n, 1)])
        ours.replied([(n, 1)], [OK], AT)
    ours.replied([(7, 1)], [OK], AT)
    ours.committed([(n, 1) for n in range(100, 110)])
    assert ("reply", [(7, 1)]) in read(tmp_path)
    ours.committed([(7, 1)])
    assert len(segments(tmp_path)) == 1


@pytest.mark.usefixtures("small_segments")
def test_one_slow_reply_keeps_its_own_segment_only(tmp_path: Path) -> None:
    ours = Journal(tmp_path, 1)
    ours.before_dot([(7, 1)])
    for n in range(100, 200):
        ours.before_dot([(n, 1)])
        ours.replied([(n, 1)], [OK], AT)
        ours.committed([(n, 1)])
    assert len(segments(tmp_path)) <= 2
    assert ("dot", [(7, 1)]) in read(tmp_path)


def test_the_segment_in_use_starts_anew_when_all_is_committed(tmp_path: Path) -> None:
    ours = Journal(tmp_path, 1)
    for n in range(2000):
        ours.before_dot([(n, 1)])
        ours.replied([(n, 1)], [OK], AT)
        ours.committed([(n, 1)])
    assert (tmp_path / "1.1").stat().st_size < 70_000


@pytest.mark.usefixtures("small_segments")
def test_it_writes_on_where_no_new_segment_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Journal(tmp_path, 1)

    def fails(number: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ours, "_segment", fails)
    for n in range(20):
        ours.before_dot([(n, 1)])
    assert len(read(tmp_path)) == 20


def test_what_is_open_is_known(tmp_path: Path) -> None:
    ours = Journal(tmp_path, 1)
    ours.before_dot([(7, 1)])
    assert ours.is_open((7, 1))
    assert not ours.is_open((7, 2))
    ours.committed([(7, 1), (8, 1)])
    assert not ours.is_open((7, 1))


# ── The lock ──────────────────────────────────────────────────────────────────────────────────


def test_nobody_else_gets_the_lock_of_a_living_runner(tmp_path: Path) -> None:
    ours = Journal(tmp_path, 1)
    assert journal.take_lock(tmp_path, 1) is None
    with pytest.raises(OSError, match="journal of runner 1"):
        Journal(tmp_path, 1)
    ours.close(keep=True)
    lock = journal.take_lock(tmp_path, 1)
    assert lock is not None
    os.close(lock)


def test_it_is_locked_before_it_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a reaper could find it free, and end a runner at its birth."""
    seen: list[list[int]] = []
    real = fcntl.flock

    def flock(handle: int, how: int) -> None:
        seen.append(journal.known_runners(tmp_path))
        real(handle, how)

    monkeypatch.setattr(journal.fcntl, "flock", flock)
    ours = Journal(tmp_path, 1)
    assert seen == [[]]
    assert journal.known_runners(tmp_path) == [1]
    ours.close(keep=False)


def test_a_clean_end_leaves_nothing_and_another_one_everything(tmp_path: Path) -> None:
    for runner, keep in ((1, False), (2, True)):
        ours = Journal(tmp_path, runner)
        ours.before_dot([(7, 1)])
        ours.close(keep=keep)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.1", "2.lock"]


def test_a_session_that_outlives_its_runner_writes_into_nothing(tmp_path: Path) -> None:
    ours = Journal(tmp_path, 1)
    ours.close(keep=True)
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError):
        ours.before_dot([(7, 1)])
    os.close(other)
    assert (tmp_path / "other").read_bytes() == b""


_CHILD = """
import sys, time, pathlib
from queueapp.engine.journal import Journal
ours = Journal(pathlib.Path(sys.argv[1]), 1)
ours.before_dot([(7, 1)])
print("up", flush=True)
time.sleep(60)
"""


def test_the_lock_is_free_and_the_lines_are_there_after_kill_9(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout
    assert child.stdout.readline() == b"up\n"
    assert journal.take_lock(tmp_path, 1) is None
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    lock = journal.take_lock(tmp_path, 1)
    assert lock is not None
    assert read(tmp_path) == [("dot", [(7, 1)])]
    os.close(lock)


# ── A full disk ───────────────────────────────────────────────────────────────────────────────

_FULL = """
import sys, pathlib, resource
from queueapp.engine.journal import Journal
ours = Journal(pathlib.Path(sys.argv[1]), 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
n = 0
try:
    while n < 1000:
        ours.before_dot([(n, 1)])
        n += 1
except OSError as error:
    print(n, type(error).__name__)
"""


def test_on_a_full_disk_no_dot_is_allowed_and_all_before_is_readable(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path)], capture_output=True, text=True, timeout=30, check=True
    )
    n, name = child.stdout.split()
    assert name == "OSError"
    assert read(tmp_path) == [("dot", [(number, 1)]) for number in range(int(n))]
    last = (tmp_path / "1.1").read_bytes().splitlines()[-1]
    assert int(n) < 1000
    if (tmp_path / "1.1").stat().st_size == 1000:
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(last)


def test_a_line_costs_little(tmp_path: Path) -> None:
    ours = Journal(tmp_path, 1)
    start = time.perf_counter()
    for n in range(1000):
        ours.before_dot([(n, 1)])
        ours.replied([(n, 1)], [OK], AT)
        ours.committed([(n, 1)])
    assert time.perf_counter() - start < 3
