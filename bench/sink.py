"""Where all mail of a benchmark ends: Postfix's `smtp-sink`, the same for every system.

It takes 10,000 mails a second and more on one core and keeps none. It counts each mail at its final
dot; we read the count some 200 times a second, so first and last mail are known to 5 ms. Not for a
benchmark that must know which mail came when: that takes bench/slow_sink.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from bench.usage import cpu_seconds
from tests import programs
from tests.processes import die_with_parent, stop

_TICK = 0.005
_PIPE_SIZE = 1 << 20
_TAIL = 200  # bytes, more than a line
ROOT = Path(__file__).resolve().parent.parent
_COUNT = re.compile(rb"mesg=(\d+)\r")
_SEEN = re.compile(rb"seen (\S+) ([\d.]+)\n")


class Stalled(RuntimeError):
    """Mails that did not come, or the sink that did not start."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sink:
    """`with Sink() as sink: sink.address; sink.wait_for(1000); sink.rate`."""

    def __init__(self) -> None:
        self.count = 0
        self.first_count = 0
        self.first_at = self.last_at = 0.0
        self.busy = 0.0  # share of one core, from the first mail to the last
        self._started = threading.Event()
        self._cpu_at_first = 0.0

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def rate(self) -> float:
        """Mails a second, from the first to the last; 0 where there were too few to tell."""
        took = self.last_at - self.first_at
        return (self.count - self.first_count) / took if took > 0 else 0.0

    @property
    def seconds(self) -> float:
        return self.last_at - self.first_at

    def __enter__(self) -> Sink:
        self.port = free_port()
        self.process = subprocess.Popen(
            self._command(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        assert self.process.stdout is not None
        with contextlib.suppress(OSError, AttributeError):  # else smtp-sink may wait for us
            fcntl.fcntl(self.process.stdout.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        self._thread = threading.Thread(target=self._read, args=(self.process.stdout.fileno(),), daemon=True)
        self._thread.start()
        self._await_port()
        return self

    def __exit__(self, *_: object) -> None:
        stop(self.process, timeout=5)
        self._thread.join(5)

    def _command(self) -> list[str]:
        program = programs.find("smtp-sink")
        if program is None:
            raise Stalled(programs.why_missing("smtp-sink"))
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        return [program, *user, "-c", "-m", "2000", f"inet:127.0.0.1:{self.port}", "1000"]

    def _await_port(self) -> None:
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(self.address, timeout=1).close()
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    stop(self.process)
                    raise Stalled(f"the sink does not listen on port {self.port}") from None
                time.sleep(0.02)

    def _read(self, fd: int) -> None:
        held = b""
        while chunk := os.read(fd, _PIPE_SIZE):
            now = time.monotonic()
            held += chunk
            self._look(held, now)
            held = held[-_TAIL:]
            time.sleep(_TICK)

    def _look(self, printed: bytes, now: float) -> None:
        """What the sink printed since the last look, and the end of what it had printed before."""
        if found := _COUNT.findall(printed):
            self._saw(int(found[-1]), now)

    def _saw(self, count: int, now: float) -> None:
        if count > self.count:
            if not self.first_count:
                self.first_count, self.first_at = count, now
                self._cpu_at_first = cpu_seconds([self.process.pid])
                self._started.set()
            self.count, self.last_at = count, now

    def wait_for_first(self, within: float = 120) -> None:
        if not self._started.wait(within):
            raise Stalled(f"no mail came within {within:.0f} s")

    def wait_for(self, n: int, patience: float = 60, settle: float = 0.5) -> None:
        """Until `n` mails are there, and a moment longer for those that come twice.

        Raises Stalled where no further mail comes for `patience` seconds.
        """
        since, seen = time.monotonic(), self.count
        while self.count < n:
            time.sleep(0.01)
            if self.count > seen:
                since, seen = time.monotonic(), self.count
            elif time.monotonic() - since > patience:
                raise Stalled(f"{self.count:,} of {n:,} mails came, then none for {patience:.0f} s")
        used = cpu_seconds([self.process.pid]) - self._cpu_at_first
        self.busy = used / self.seconds if self.seconds > 0 else 0.0
        time.sleep(settle)


class SlowSink(Sink):
    """bench/slow_sink.py with its options; `seen` is when a watched recipient's mail had come."""

    def __init__(self, *options: str) -> None:
        super().__init__()
        self.options = options
        self.seen: dict[str, float] = {}

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "bench.slow_sink", "--port", str(self.port), *self.options]

    def _look(self, printed: bytes, now: float) -> None:
        super()._look(printed, now)
        for recipient, at in _SEEN.findall(printed):
            self.seen.setdefault(recipient.decode(), float(at))

    def wait_for_recipient(self, recipient: str, within: float = 60) -> float:
        """When its mail had come, by the monotonic clock. Raises Stalled."""
        end = time.monotonic() + within
        while recipient not in self.seen:
            if time.monotonic() > end:
                raise Stalled(f"the mail to {recipient} did not come within {within:.0f} s")
            time.sleep(0.005)
        return self.seen[recipient]


def programs_folder() -> Path:
    """Where Debian's unpacked mail programs are."""
    return programs.UNPACKED.parent
