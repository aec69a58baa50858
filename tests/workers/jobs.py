"""Jobs for the tests of our RQ worker. Each notes what it lives through in a file."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def note(path: str) -> None:
    Path(path).write_text(str(os.getpid()))


def until_told(path: str) -> None:
    """Runs until SIGTERM, then says so: what a queue runner does."""
    is_over = []
    signal.signal(signal.SIGTERM, lambda number, frame: is_over.append(1))
    Path(path).write_text(str(os.getpid()))
    while not is_over:
        time.sleep(0.02)
    Path(path + ".ended").touch()


def until_there(path: str) -> None:
    """Runs until `path`.go exists."""
    Path(path).write_text(str(os.getpid()))
    while not Path(path + ".go").exists():
        time.sleep(0.02)
    Path(path + ".ended").touch()
