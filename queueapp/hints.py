"""What is told through Redis after a commit and need not be told after every commit.

The first word after a pause is said at once, by whoever has it. What comes within 20 milliseconds of it is
said together when they are over, by a thread of its own: under load the commits of mail would else wait for
Redis more often than for the disk. A runner looks for due mail no more often than that (engine/runner.py).

Promises: what was told is said at most so much later; each word is a hint, so saying it once for many is
enough. Failure: a process that is killed in between says nothing; the sweep makes that good.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable

EVERY = 0.02
"""Seconds."""
log = logging.getLogger(__name__)


class Hint:
    """`say` is right at any time and for however many `tell`s. Safe for several threads and over forks."""

    def __init__(self, say: Callable[[], None], every: float | None = None) -> None:
        self._say, self._own = say, every
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._said_at = float("-inf")
        self._waits = False
        self._wake: threading.Event | None = None

    @property
    def _every(self) -> float:
        return EVERY if self._own is None else self._own

    def tell(self) -> None:
        """Now, or with others."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            if self._waits:
                return
            now = time.monotonic()
            if now - self._said_at < self._every:
                self._waits = True
                self._thread().set()
                return
            self._said_at = now
        self._say()

    def flush(self) -> None:
        """Say now what waits."""
        with self._lock:
            waited, self._waits = self._waits, False
            self._said_at = time.monotonic()
        if waited:
            self._say()

    def _thread(self) -> threading.Event:
        if self._wake is None:
            self._wake = threading.Event()
            threading.Thread(target=self._run, args=(self._wake,), name="hints", daemon=True).start()
            atexit.register(self.flush)
        return self._wake

    def _run(self, wake: threading.Event) -> None:
        while wake.wait():
            wake.clear()
            time.sleep(max(0.0, self._said_at + self._every - time.monotonic()))
            try:
                self.flush()
            except Exception:
                # A thread that ends in silence would leave every later word unsaid.
                log.exception("a hint could not be told")
