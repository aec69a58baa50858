"""The ack journal: what a runner was about to send, and what it was told, until that is committed.

A line is appended before the bytes that hold a message's final dot go out, and another when the
reply was read. After `kill -9` of the runner, or when the database was away, replay settles every
reply that was read; a dot without a reply makes its deliveries *ambiguous* (promise 2).

Promises: a line that was appended outlives the process (it is in the kernel's hands; a loss of
power may take the last ones, and then their deliveries are simply tried again). A runner holds
a lock on its journal for as long as it lives, so "is it dead?" needs no clock. Disk use is
bounded: a segment goes when all its lines are committed.
Failure: `before_dot` raises OSError where the line can't be written, and then the dot is not sent.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from queueapp.transports.base import Outcome

_SEGMENT_SIZE = 4 * 1024 * 1024
# "dot" or "reply", (delivery id, attempt number) of each, what was replied, when.
Entry = tuple[str, list[tuple[int, int]], list[Outcome], datetime | None]
log = logging.getLogger(__name__)


class Journal:
    """One runner's journal. Not for several threads at once, save `committed`."""

    def __init__(self, folder: Path, runner_id: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._runner_id = folder, runner_id
        self._lock = _new_lock(folder, runner_id)
        self._is_torn = False
        self._open: dict[tuple[int, int], int] = {}
        self._n_open: dict[int, int] = {}
        self._number, self._size = 1, 0
        self._file = self._segment(1)

    def before_dot(self, claims: list[tuple[int, int]]) -> None:
        """`claims`: (delivery id, attempt number) of what the dot would hand over."""
        self._append({"d": claims})
        self._note(claims)

    def replied(self, claims: list[tuple[int, int]], outcomes: list[Outcome], at: datetime) -> None:
        """What the receiver answered to the dot."""
        self._append({"r": claims, "o": outcomes, "at": at})
        # The segment with the reply is what replay needs from now on, not the one with the dot.
        self._note(claims)

    def is_open(self, claim: tuple[int, int]) -> bool:
        """Its dot went out, and what came of it is not committed."""
        return claim in self._open

    def committed(self, claims: list[tuple[int, int]]) -> None:
        """Their outcomes are in the database."""
        for claim in claims:
            self._leave(self._open.pop(claim, None))

    def close(self, *, keep: bool) -> None:
        """Give up the lock. `keep`: something is not committed, and the reaper reads it."""
        os.close(self._file)
        # A session that is still at work must fail, and not write into whatever gets this number next.
        self._file = -1
        if not keep:
            remove(self._folder, self._runner_id)
        os.close(self._lock)

    def _note(self, claims: list[tuple[int, int]]) -> None:
        for claim in claims:
            before = self._open.get(claim)
            self._open[claim] = self._number
            self._n_open[self._number] = self._n_open.get(self._number, 0) + 1
            self._leave(before)
        if self._size > _SEGMENT_SIZE:
            self._next_segment()

    def _leave(self, number: int | None) -> None:
        if number is not None:
            self._n_open[number] -= 1
            if not self._n_open[number]:
                self._settle(number)

    def _append(self, line: dict[str, Any]) -> None:
        data = (b"\n" if self._is_torn else b"") + orjson.dumps(line) + b"\n"
        self._is_torn = True
        if os.write(self._file, data) != len(data):
            raise OSError("the journal took only a part of a line: is the disk full?")
        self._is_torn = False
        self._size += len(data)

    def _next_segment(self) -> None:
        try:
            file = self._segment(self._number + 1)
        except OSError as error:
            log.warning("no new segment of the journal, the old one grows on: %s", error)
            return
        os.close(self._file)
        self._file, self._size = file, 0
        self._number += 1

    def _segment(self, number: int) -> int:
        path = self._folder / f"{self._runner_id}.{number}"
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _settle(self, number: int) -> None:
        """All lines of a segment are committed: it goes, or starts anew where it is the current one."""
        del self._n_open[number]
        if number == self._number:
            # Truncated now and then only: each time costs a call.
            if self._size > 64 * 1024:
                os.ftruncate(self._file, 0)
                self._size = 0
        else:
            (self._folder / f"{self._runner_id}.{number}").unlink(missing_ok=True)


def _new_lock(folder: Path, runner_id: int) -> int:
    """Locked before it has its name: a reaper must not find it free, and end a runner at its birth."""
    nameless = folder / f".{runner_id}.{os.getpid()}"
    handle = os.open(nameless, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.link(nameless, folder / f"{runner_id}.lock")
    except OSError as error:
        os.close(handle)
        raise OSError(f"the journal of runner {runner_id} is in use, or can't be made: {error}") from error
    finally:
        nameless.unlink(missing_ok=True)
    return handle


def take_lock(folder: Path, runner_id: int) -> int | None:
    """The lock of a runner's journal as a file descriptor; None while its runner lives."""
    handle = os.open(folder / f"{runner_id}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def known_runners(folder: Path) -> list[int]:
    """Runners of this machine that left a journal or live."""
    return sorted(int(path.stem) for path in folder.glob("*.lock") if path.stem.isdigit())


def replay(folder: Path, runner_id: int) -> Iterator[Entry]:
    """("dot" or "reply", claims, outcomes, when) in the order of writing. A torn last line is left out."""
    paths = [path for path in folder.glob(f"{runner_id}.*") if path.suffix[1:].isdigit()]
    for path in sorted(paths, key=lambda each: int(each.suffix[1:])):
        for raw in path.read_bytes().split(b"\n"):
            try:
                if raw:
                    yield _read(orjson.loads(raw))
            except (ValueError, TypeError, KeyError) as error:
                # Torn, or of another version: a reply that can't be read leaves its dot without one.
                log.warning("a line of %s can't be read: %s", path, error)


def _read(line: dict[str, Any]) -> Entry:
    if "d" in line:
        return "dot", [(int(pk), int(n)) for pk, n in line["d"]], [], None
    claims = [(int(pk), int(n)) for pk, n in line["r"]]
    outcomes = [Outcome(**each) for each in line["o"]]
    if len(outcomes) != len(claims):
        raise ValueError(f"{len(outcomes)} outcomes for {len(claims)} claims")
    return "reply", claims, outcomes, datetime.fromisoformat(line["at"])


def remove(folder: Path, runner_id: int) -> None:
    """The lock goes last: by its name a reaper finds what is left if this is cut short."""
    for path in folder.glob(f"{runner_id}.*"):
        if path.suffix != ".lock":
            path.unlink(missing_ok=True)
    (folder / f"{runner_id}.lock").unlink(missing_ok=True)
