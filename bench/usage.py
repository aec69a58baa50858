"""What a system under test costs: processor seconds and memory of all its processes, from /proc.

The processor time of a tree is that of its live processes and of the children that they waited for,
so a process that ended meanwhile still counts. Load generator and sink are other trees.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from tests.processes import descendants

_TICKS = os.sysconf("SC_CLK_TCK")
_EVERY = 0.25
RUNNER = "mw-runner"


def tree(roots: list[int]) -> set[int]:
    """The roots and all below them that are alive."""
    found = set(roots)
    for root in roots:
        found |= descendants(root)
    return found


def cpu_seconds(roots: list[int]) -> float:
    """User and system time of the trees so far; only grows as long as the roots live."""
    total = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            total += sum(int(field) for field in fields[11:15])
    return total / _TICKS


def peak_memory(pid: int) -> tuple[str, float]:
    """(name, MB that it had resident at most); ("", 0) where it is gone."""
    with contextlib.suppress(OSError, ValueError):
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        if "VmHWM" in fields:
            return fields["Name"].strip(), int(fields["VmHWM"].split()[0]) * 1024 / 1e6
    return "", 0.0


class Meter:
    """Watches the trees whose roots `roots()` names, until the `with` block ends."""

    def __init__(self, roots: Callable[[], list[int]]) -> None:
        self.roots = roots
        self.largest_mb = 0.0
        self.largest_name = ""
        self.runner_mb = 0.0
        self._cpu_at_start = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Meter:
        self.start_counting()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def start_counting(self) -> None:
        """Processor time counts from here."""
        self._cpu_at_start = cpu_seconds(self.roots())

    def cpu(self) -> float:
        """Seconds since then."""
        return cpu_seconds(self.roots()) - self._cpu_at_start

    def _watch(self) -> None:
        self.look()
        while not self._stop.wait(_EVERY):
            self.look()

    def look(self) -> None:
        for pid in tree(self.roots()):
            name, mb = peak_memory(pid)
            if mb > self.largest_mb:
                self.largest_mb, self.largest_name = mb, name
            if name == RUNNER:
                self.runner_mb = max(self.runner_mb, mb)
