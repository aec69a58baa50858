"""How tests start and stop processes, so that none is left behind, whatever happens to the tests."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """For Popen's preexec_fn: the kernel kills the child when the thread that started it ends (Linux)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def stop(process: subprocess.Popen[bytes], *, sign: int = signal.SIGTERM, timeout: float = 10) -> int:
    """Ask the process to end; kill it if it doesn't. Returns its exit code."""
    if process.poll() is None:
        process.send_signal(sign)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def environment_of(pid: int) -> dict[bytes, bytes]:
    """What the process was started with; empty where it is gone or belongs to another."""
    with contextlib.suppress(OSError):
        pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return dict(pair.split(b"=", 1) for pair in pairs if b"=" in pair)
    return {}


def parent_and_state(pid: int) -> tuple[int, str]:
    """Parent's pid and the state letter (Z is a zombie); (0, "X") where the process is gone."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return int(fields[1]), fields[0]
    return 0, "X"


def all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def descendants(pid: int) -> set[int]:
    """All processes below this one that are alive; zombies don't count."""
    parents = {each: parent_and_state(each) for each in all_pids()}
    found: set[int] = set()
    todo = [pid]
    while todo:
        above = todo.pop()
        below = [each for each, (parent, state) in parents.items() if parent == above and each not in found]
        found.update(each for each in below if parents[each][1] not in "ZX")
        todo += below
    return found


def with_environment(name: str, value: str) -> set[int]:
    """All live processes that were started with this variable, orphans too."""
    wanted = (name.encode(), value.encode())
    return {
        pid
        for pid in all_pids()
        if parent_and_state(pid)[1] not in "ZX" and environment_of(pid).get(wanted[0]) == wanted[1]
    }
