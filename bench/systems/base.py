"""What a benchmark asks of a system under test, ours or a peer's.

    with contender(folder, sink.address) as system:
        system.start(delivering=False)      takes mail in and sends none
        system.load(mails)
        system.start(delivering=True)       what is there goes out, and what comes

All systems send everything to the sink as to a relay, over at most `SESSIONS` sessions at a time,
and keep their promises to the disk. `close` leaves no process behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.mails import Mails
from tests.processes import all_pids, die_with_parent

ROOT = Path(__file__).resolve().parent.parent.parent
# Together, of all processes of a system. Postfix's own default for one destination.
SESSIONS = 20


@dataclass(frozen=True)
class Wishes:
    """What a benchmark wants beside the defaults. `settings` are ours, `postfix` are main.cf's."""

    sessions: int = SESSIONS
    settings: dict[str, str] = field(default_factory=dict)
    postfix: dict[str, str] = field(default_factory=dict)


USUAL = Wishes()


def ours(contender: type[Contender]) -> bool:
    """For cases that no peer has."""
    return contender.is_ours


def by_sessions(contender: type[Contender]) -> bool:
    """For cases in which one session at a time would take for ever."""
    return contender.has_sessions


def by_smtp(contender: type[Contender]) -> bool:
    """For cases that submit over SMTP."""
    return contender.takes_smtp


class Failed(RuntimeError):
    """The system did not do what was asked; holds what it said."""


class Contender(ABC):
    label = ""  # as shown, and as a key in the results
    is_ours = False
    takes_smtp = True
    clients_reconnect = True  # for each mail, as applications do
    has_sessions = True  # several at a time
    share = 1.0  # of the mails: a slow system gets fewer, or it would take most of the time

    def __init__(self, folder: Path, sink: tuple[str, int], wishes: Wishes = USUAL) -> None:
        self.folder, self.sink, self.wishes = folder, sink, wishes

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @classmethod
    def why_missing(cls) -> str:
        """Why it can't run on this machine; "" where it can."""
        return ""

    @abstractmethod
    def start(self, *, delivering: bool) -> None:
        """Start it, or start it anew in the other mode. Returns when it takes mail."""

    @abstractmethod
    def roots(self) -> list[int]:
        """The processes whose trees are this system."""

    @abstractmethod
    def close(self) -> None:
        """End all its processes; may be called twice."""

    @property
    @abstractmethod
    def smtp_address(self) -> tuple[str, int]:
        """Where it takes mail."""

    def load(self, mails: Mails) -> None:
        """Put the mails into its queue. Not measured."""
        push(self.smtp_address, mails)

    def sign_of_trouble(self) -> str:
        """The end of its log, for a run that failed."""
        return ""


def push(address: tuple[str, int], mails: Mails, connections: int = 20, timeout: float = 1800) -> None:
    """Send the mails by SMTP from a process of its own. Raises Failed."""
    run_module(
        "bench.push", address[0], str(address[1]), str(connections), "0", *mails.arguments(), timeout=timeout
    )


def run_module(module: str, *arguments: str, env: dict[str, str] | None = None, timeout: float = 1800) -> str:
    """Run one of our own modules to its end; returns what it printed. Raises Failed."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        raise Failed(f"{module} ended with {process.returncode}: {err.strip()[-2000:]}")
    return out


def end_session(process: subprocess.Popen[bytes], grace: float = 10) -> None:
    """SIGTERM to a process that leads a session, then SIGKILL to all that is left of the session."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    for _ in range(200):
        left = [pid for pid in all_pids() if session_of(pid) == process.pid]
        if not left:
            break
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.poll()
        time.sleep(0.02)
    process.wait()


def session_of(pid: int) -> int:
    """The leader of its session; 0 for a zombie and for what is gone."""
    with contextlib.suppress(OSError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return 0 if fields[0] in "ZX" else int(fields[3])
    return 0


def await_port(address: tuple[str, int], process: subprocess.Popen[bytes], within: float = 20) -> bool:
    """Whether somebody listens there in time; False as soon as the process has ended."""
    end = time.monotonic() + within
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=2) as probe:
            if probe.recv(3) == b"220":
                return True
        time.sleep(0.05)
    return False
