"""Keeps the parts of one machine running, and stops them in order.

Promises: a part that dies is started again, after 0.1 s, then doubling to 30 s while it keeps
dying, and the fact is a log line and stands in `parts.json`; `run` returns within 10 s of SIGTERM,
SIGINT or SIGHUP, with no process left below this one; a second signal makes it shorter.
Never: it speaks neither to the database nor to Redis, so that nothing can hold it up.
Failure: a part that can't be started is one that died. A `parts.json` that can't be written is
logged once; the parts go on.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from queueapp.workers import home, process

FIRST_WAIT, LONGEST_WAIT, HEALTHY_AFTER = 0.1, 30.0, 60.0
# Seconds after the request to stop: when each stage has had its time, when all are killed, and when
# the last ones are, which must outlive the others (Valkey).
STAGE_ENDS = (3.0, 6.5, 7.5)
KILL_AT, KILL_LAST_AT = 8.0, 9.5
HURRY = 1.0
_TICK = 1.0
log = logging.getLogger(__name__)


@dataclass
class Part:
    """What runs and in which stage it stops: 0 takes work in, 1 does it, 2 receives it, 3 is last."""

    name: str
    run: Callable[[process.Ready], None]
    stage: int
    address: str = ""
    socket: socket.socket | None = None
    is_ready: Callable[[], bool] | None = None  # where the process can't report by itself
    pid: int = 0
    pipe: int = -1
    has_reported: bool = False
    state: str = "stopped"
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: float = 0.0
    start_at: float = 0.0
    wait: float = FIRST_WAIT
    n_restarts: int = 0
    last_exit: str = ""

    def shown(self) -> dict[str, object]:
        return {
            "name": self.name,
            "pid": self.pid or None,
            "address": self.address,
            "state": self.state,
            "since": self.since.isoformat(timespec="seconds"),
            "n_restarts": self.n_restarts,
            "last_exit": self.last_exit,
        }


class Supervisor:
    """`start(part)` as many as there are, `wait_ready`, then `run` until a signal says stop."""

    def __init__(self, parts_file: Path) -> None:
        self.parts: list[Part] = []
        self.parts_file = parts_file
        self.n_stop_signals = 0
        self.stop_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._has_complained = False
        self._take_signals()

    def _take_signals(self) -> None:
        process.adopt_orphans()
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # A process that was started with SIGHUP ignored (nohup) wants it to stay so.
            if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, self._on_stop)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self.n_stop_signals += 1
        if self.n_stop_signals == 1:
            self.stop_at = time.monotonic()

    @property
    def is_stopping(self) -> bool:
        return self.n_stop_signals > 0

    # ── Running ───────────────────────────────────────────────────────────────────────────────

    def start(self, *parts: Part) -> None:
        self.parts += parts
        for part in parts:
            self._start(part)
        self._tell()

    def wait_ready(self, parts: Sequence[Part], within: float) -> bool:
        """True once all of them accept work; False where a stop came first or the time is over."""
        end = time.monotonic() + within
        while not all(part.has_reported for part in parts):
            if self.is_stopping or time.monotonic() > end:
                return False
            self.turn(min(0.02, end - time.monotonic()))
        return not self.is_stopping

    def run(self) -> None:
        while not self.is_stopping:
            self.turn(_TICK)

    def turn(self, longest: float) -> None:
        """Wait until something happened, or it is time to start a part again; then see to it."""
        due = [] if self.is_stopping else [part.start_at for part in self.parts if not part.pid]
        self._sleep(max(0.0, min([longest, *(at - time.monotonic() for at in due)])))
        self._probe()
        is_changed = self._reap()
        for part in self.parts:
            if not part.pid and not self.is_stopping and time.monotonic() >= part.start_at:
                self._start(part)
                is_changed = True
        if is_changed:
            self._tell()

    def _sleep(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._wake:
                with suppress(BlockingIOError):
                    self._wake.recv(4096)
            else:
                self._read_report(key.data)

    def _read_report(self, part: Part) -> None:
        with suppress(BlockingIOError):
            part.has_reported |= bool(os.read(part.pipe, 1))
            self._close_pipe(part)

    def _close_pipe(self, part: Part) -> None:
        if part.pipe >= 0:
            self._selector.unregister(part.pipe)
            os.close(part.pipe)
            part.pipe = -1

    def _probe(self) -> None:
        for part in self.parts:
            if part.is_ready and part.pid and not part.has_reported:
                part.has_reported = part.is_ready()

    def _start(self, part: Part) -> None:
        try:
            part.pid, part.pipe = process.fork(part.name, part.run, close=self._not_for(part))
        except OSError as error:
            part.last_exit = f"not started: {error.strerror}"
            log.error("%s can't be started: %s", part.name, error.strerror)
            return self._put_off(part)
        self._selector.register(part.pipe, selectors.EVENT_READ, part)
        part.started_at, part.state, part.since = time.monotonic(), "running", datetime.now(UTC)
        return None

    def _not_for(self, part: Part) -> list[int]:
        """Descriptors that are ours or another part's."""
        others = [other for other in self.parts if other is not part]
        ours = [self._wake.fileno(), self._waker.fileno(), *self._selector_fd()]
        pipes = [other.pipe for other in others if other.pipe >= 0]
        return [*ours, *pipes, *(other.socket.fileno() for other in others if other.socket)]

    def _selector_fd(self) -> list[int]:
        fileno = getattr(self._selector, "fileno", None)
        return [fileno()] if fileno else []

    # ── A part that ended ─────────────────────────────────────────────────────────────────────

    def _reap(self) -> bool:
        is_changed = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return is_changed
            if not pid:
                return is_changed
            for part in self.parts:
                if part.pid == pid:
                    self._ended(part, _how(status))
                    is_changed = True

    def _ended(self, part: Part, how: str) -> None:
        self._close_pipe(part)
        ran_for = time.monotonic() - part.started_at
        part.pid, part.last_exit, part.has_reported = 0, how, False
        part.state, part.since = "stopped", datetime.now(UTC)
        if self.is_stopping:
            return
        if ran_for >= HEALTHY_AFTER:
            part.wait = FIRST_WAIT
        log.warning(
            "%s ended (%s) after %.1f s; it is started again in %.1f s", part.name, how, ran_for, part.wait
        )
        self._put_off(part)

    def _put_off(self, part: Part) -> None:
        part.state, part.since = "restarting", datetime.now(UTC)
        part.n_restarts += 1
        part.start_at = time.monotonic() + part.wait
        part.wait = min(part.wait * 2, LONGEST_WAIT)

    def _tell(self) -> None:
        try:
            home.write(self.parts_file, {"parts": [part.shown() for part in self.parts]})
        except OSError as error:
            if not self._has_complained:
                log.error("%s can't be written: %s", self.parts_file, error.strerror)
            self._has_complained = True

    # ── Stopping ──────────────────────────────────────────────────────────────────────────────

    def stop(self) -> None:
        """End all parts, stage by stage. Returns when no process below this one is left."""
        self.n_stop_signals = self.n_stop_signals or 1
        self.stop_at = self.stop_at or time.monotonic()
        self._close_sockets()
        last = max((part.stage for part in self.parts), default=0)
        for stage, ends in enumerate(STAGE_ENDS):
            self._stop_stage(stage, self.stop_at + ends)
        self._kill(
            [part.pid for part in self.parts if part.stage == last and part.pid], self.stop_at + KILL_AT
        )
        self._stop_stage(last, self.stop_at + KILL_LAST_AT)
        self._kill([], self.stop_at + KILL_LAST_AT)
        self._tell()

    def _close_sockets(self) -> None:
        """Whoever connects from now on is refused at once instead of waiting for nobody."""
        for part in self.parts:
            if part.socket:
                part.socket.close()

    def _stop_stage(self, stage: int, deadline: float) -> None:
        members = [part for part in self.parts if part.stage == stage]
        for part in members:
            if part.pid:
                process.send(part.pid, signal.SIGTERM)
        while any(part.pid for part in members) and not self._is_over(deadline):
            self.turn(0.05)

    def _is_over(self, deadline: float) -> bool:
        """A second signal leaves each stage one second."""
        if self.n_stop_signals > 1:
            deadline = min(deadline, time.monotonic())
        return time.monotonic() >= deadline

    def _kill(self, spared: Sequence[int], deadline: float) -> None:
        """End everything below us but the spared: parts that hang, and what parts left behind."""
        if self.n_stop_signals > 1:
            deadline = min(deadline, time.monotonic() + HURRY)
        for pid in self._left(spared):
            process.send(pid, signal.SIGTERM)
        while left := self._left(spared):
            if time.monotonic() >= deadline:
                log.warning("killed after %.1f s: %s", time.monotonic() - self.stop_at, self._names(left))
                for pid in left:
                    process.send(pid, signal.SIGKILL)
                deadline = time.monotonic() + 0.5
            self.turn(0.05)

    def _left(self, spared: Sequence[int]) -> list[int]:
        kept = {each for pid in spared for each in (pid, *process.descendants(pid))}
        return [pid for pid in process.descendants(os.getpid()) if pid not in kept]

    def _names(self, pids: Sequence[int]) -> str:
        names = {part.pid: part.name for part in self.parts if part.pid}
        return ", ".join(f"{names.get(pid, 'a child')} (pid {pid})" for pid in pids)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with suppress(ValueError):
            return signal.Signals(number).name
        return f"signal {number}"
    return f"exit {os.waitstatus_to_exitcode(status)}"
