"""The faults of a single machine. Each is begun, lasts a while, and is ended; `allowed` is what may repeat.

A fault that kills a runner may repeat what its open sessions had sent and not heard the answer of: so many
as were open, and never more. So may a receiver that takes a mail and does not say so.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import redis

from bench.faults.rig import SESSIONS, WORKERS, Rig, kill
from tests.dnsserver import DnsServer
from tests.processes import descendants

_EACH = 5.0  # seconds between two kills


class Fault:
    """`what` is told; `databases` it makes sense on; `needs_root` where the machine must be changed."""

    what = ""
    databases: tuple[str, ...] = ("sqlite", "postgres")
    needs_root = False
    own_valkey = False
    hold: float | None = None  # seconds; None is what the run allows, 20 at most

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.allowed = 0

    def why_missing(self) -> str:
        return "it needs root" if self.needs_root and os.geteuid() != 0 else ""

    def settings(self, sink: tuple[str, int]) -> dict[str, str]:
        return {}

    def environment(self) -> dict[str, str]:
        """More variables for the system's processes, which are no settings of ours."""
        return {}

    def begin(self, rig: Rig) -> None:
        """Break it."""

    def last(self, rig: Rig, seconds: float) -> None:
        time.sleep(seconds)

    def end(self, rig: Rig) -> None:
        """Mend it."""

    def close(self) -> None:
        """Leave nothing behind; may come without `settings`."""


class Nothing(Fault):
    what = "nothing breaks: the count itself"


class _Kills(Fault):
    """A kill every few seconds."""

    def last(self, rig: Rig, seconds: float) -> None:
        end = time.monotonic() + seconds
        n = 0
        while n == 0 or time.monotonic() + _EACH < end:
            n += self.strike(rig)
            time.sleep(_EACH * random.uniform(0.7, 1.0) if n else 0.05)
        time.sleep(max(0.0, end - time.monotonic()))

    def strike(self, rig: Rig) -> int:
        """One kill; how many died."""
        raise NotImplementedError


class RunnerKilled(_Kills):
    what = "kill -9 of a queue runner, every 5 s"

    def strike(self, rig: Rig) -> int:
        killed = any(kill(pid) for pid in rig.runners()[:1])
        self.allowed += SESSIONS * killed
        return int(killed)


class WorkerKilled(_Kills):
    what = "kill -9 of a runner's parent, the RQ worker, every 5 s"

    def strike(self, rig: Rig) -> int:
        busy = [pid for pid in rig.workers() if descendants(pid)]
        killed = any(kill(pid) for pid in busy[:1])
        self.allowed += SESSIONS * killed
        return int(killed)


class AllKilled(Fault):
    what = "kill -9 of every process at once, PostgreSQL's too; then a new `up` in the same home"

    def begin(self, rig: Rig) -> None:
        rig.system.kill()
        if rig.postgres is not None and rig.postgres.process is not None:
            for pid in (rig.postgres.process.pid, *descendants(rig.postgres.process.pid)):
                kill(pid)
            rig.postgres.process.wait()
        self.allowed = SESSIONS * WORKERS

    def last(self, rig: Rig, seconds: float) -> None:
        time.sleep(2)

    def end(self, rig: Rig) -> None:
        if rig.postgres is not None:
            rig.postgres.come_back()
        rig.system.start()


class DatabaseStopped(Fault):
    what = "PostgreSQL stopped and started again"
    databases = ("postgres",)

    def begin(self, rig: Rig) -> None:
        assert rig.postgres is not None
        rig.postgres.go_away()

    def end(self, rig: Rig) -> None:
        assert rig.postgres is not None
        rig.postgres.come_back()


class DatabaseHangs(Fault):
    what = "PostgreSQL hangs: all its processes are suspended (SIGSTOP)"
    databases = ("postgres",)

    def begin(self, rig: Rig) -> None:
        assert rig.postgres is not None
        assert rig.postgres.process is not None
        pid = rig.postgres.process.pid
        kill(pid, signal.SIGSTOP)
        self._stopped = [pid, *descendants(pid)]
        for each in self._stopped:
            kill(each, signal.SIGSTOP)

    def end(self, rig: Rig) -> None:
        for each in reversed(self._stopped):
            kill(each, signal.SIGCONT)


class DatabaseLocked(Fault):
    what = "another process holds SQLite's write lock"
    databases = ("sqlite",)

    def begin(self, rig: Rig) -> None:
        self._other = sqlite3.connect(rig.system.home / "mailweir.sqlite3", isolation_level=None, timeout=30)
        self._other.execute("BEGIN EXCLUSIVE")

    def end(self, rig: Rig) -> None:
        self._other.execute("ROLLBACK")
        self._other.close()


class ValkeyStopped(Fault):
    what = "Valkey stopped and started again, empty"
    own_valkey = True

    def begin(self, rig: Rig) -> None:
        assert rig.valkey is not None
        rig.valkey.stop()

    def end(self, rig: Rig) -> None:
        assert rig.valkey is not None
        rig.valkey.start()


class ValkeyHangs(Fault):
    what = "the embedded Valkey hangs (SIGSTOP)"

    def begin(self, rig: Rig) -> None:
        self._pids = rig.embedded_valkey()
        assert self._pids, "there is no embedded Valkey"
        for pid in self._pids:
            kill(pid, signal.SIGSTOP)

    def end(self, rig: Rig) -> None:
        for pid in self._pids:
            kill(pid, signal.SIGCONT)


class ValkeyEmptied(Fault):
    what = "FLUSHALL, every second"

    def last(self, rig: Rig, seconds: float) -> None:
        client = redis.Redis(unix_socket_path=str(rig.system.home / "valkey.sock"))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            client.flushall()
            time.sleep(1)


class JournalFull(Fault):
    what = "the journal's disk is full (a small tmpfs)"
    needs_root = True
    size = 1 << 20

    def settings(self, sink: tuple[str, int]) -> dict[str, str]:
        self._place = self.folder / "h" / "journal"
        self._place.mkdir(mode=0o700, parents=True)
        (self.folder / "h").chmod(0o700)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self.size},mode=700", "tmpfs", str(self._place)],
            check=True,
        )
        return {}

    def begin(self, rig: Rig) -> None:
        with (self._place / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def last(self, rig: Rig, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:  # a segment that is truncated must not make room again
            with contextlib.suppress(OSError), (self._place / "ballast").open("ab", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            time.sleep(0.02)

    def end(self, rig: Rig) -> None:
        (self._place / "ballast").unlink()

    def close(self) -> None:
        if hasattr(self, "_place"):
            subprocess.run(["umount", "-l", str(self._place)], check=False)


class _BadSink(Fault):
    manner = ""

    def begin(self, rig: Rig) -> None:
        rig.sink.count_open()
        rig.sink.behave(self.manner)

    def end(self, rig: Rig) -> None:
        rig.sink.behave("take")
        self.allowed = rig.sink.most_open


class SinkMute(_BadSink):
    what = "the receiver accepts connections and says nothing at all"
    manner = "mute"


class SinkSilent(_BadSink):
    what = "the receiver takes mail and never answers the dot"
    manner = "silent"


class SinkCloses(_BadSink):
    what = "the receiver closes after the dot, without a reply"
    manner = "close"


class SinkDrips(_BadSink):
    what = "the receiver answers one octet a second"
    manner = "drip"


class SinkFloods(_BadSink):
    what = "the receiver answers the dot with 100 MB"
    manner = "flood"


class DnsAway(Fault):
    what = "no name server answers (route mx)"
    hold = 60.0

    def settings(self, sink: tuple[str, int]) -> dict[str, str]:
        self._dns = DnsServer(ttl=5)
        self._dns.__enter__()
        self._known = {
            "*.fault.test": {"MX": ["10 mx.host.test."]},
            "mx.host.test": {"A": [sink[0]]},
        }
        self._dns.records.update(self._known)
        return {
            "MAILWEIR_ROUTE": "mx",
            "MAILWEIR_MX_PORT": str(sink[1]),
            "MAILWEIR_DNS": self._dns.address,
            "MAILWEIR_MTA_STS": "off",
        }

    def begin(self, rig: Rig) -> None:
        self._dns.records.update(dict.fromkeys(self._known, "hang"))

    def end(self, rig: Rig) -> None:
        self._dns.records.update(self._known)

    def close(self) -> None:
        if hasattr(self, "_dns"):
            self._dns.__exit__(None, None, None)


class ClockBack(Fault):
    """A library of our own answers in the kernel's place (bench/faults/clock.c); the machine's own clock
    stays as it is. The monotonic clock goes on, as it does where a real clock is set. libfaketime will not
    do: under it Python's `time.sleep` fails."""

    what = "the wall clock of all our processes is set back an hour, and PostgreSQL's with it"
    _SOURCE = Path(__file__).with_name("clock.c")

    def why_missing(self) -> str:
        return "" if shutil.which("cc") else "there is no C compiler `cc` (Debian package gcc)"

    def environment(self) -> dict[str, str]:
        library, self._moved = self.folder / "clock.so", self.folder / "clock"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, self._SOURCE, "-ldl"], check=True)
        self._moved.write_bytes(bytes(8))
        return {"LD_PRELOAD": str(library), "CLOCK_FILE": str(self._moved)}

    def last(self, rig: Rig, seconds: float) -> None:
        time.sleep(max(seconds, 2.0))

    def begin(self, rig: Rig) -> None:
        with self._moved.open("r+b", buffering=0) as file:
            file.write((-3600).to_bytes(8, sys.byteorder, signed=True))


KINDS: dict[str, type[Fault]] = {
    "nothing": Nothing,
    "runner": RunnerKilled,
    "worker": WorkerKilled,
    "everything": AllKilled,
    "database": DatabaseStopped,
    "database-hangs": DatabaseHangs,
    "database-locked": DatabaseLocked,
    "valkey": ValkeyStopped,
    "valkey-hangs": ValkeyHangs,
    "flushall": ValkeyEmptied,
    "journal": JournalFull,
    "mute": SinkMute,
    "silent": SinkSilent,
    "close": SinkCloses,
    "drip": SinkDrips,
    "flood": SinkFloods,
    "dns": DnsAway,
    "clock": ClockBack,
}
