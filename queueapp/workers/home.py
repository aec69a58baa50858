"""MAILWEIR_HOME: one `up` at a time, writable, with room; run.json and parts.json in it.

The lock on `up.lock` is two locks. A POSIX record lock belongs to the supervisor alone, and the
kernel names its holder. A flock is inherited by all parts, so it lasts until the last of them is
gone: a new `up` after a `kill -9` waits for what the old one left instead of running beside it.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_FLOCK = "hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, length, pid
_LEFTOVERS_GO_WITHIN = 15.0


class HomeFailed(Exception):
    """The home can't be used; the text says why and what to do."""


def check(home: Path) -> None:
    """Make the home if need be, and prove that a file can be written there."""
    probe = home / f".probe-{os.getpid()}"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.write_bytes(b"\0" * 65536)
        (home / "static").mkdir(exist_ok=True)
    except OSError as error:
        raise HomeFailed(explain(home, error)) from None
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def explain(home: Path, error: OSError) -> str:
    """One line for an error of the file system in the home."""
    what = error.strerror or str(error)
    return f"MAILWEIR_HOME={home} can't be written ({what}). {_advice(error)}"


def _advice(error: OSError) -> str:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Make room on that file system (`df`, `df -i`), or set MAILWEIR_HOME to another one."
    if error.errno == errno.EROFS:
        return "The file system is read-only; set MAILWEIR_HOME to a folder on a writable one."
    return "Set MAILWEIR_HOME to a folder that this user may write, or change the folder's owner."


class Lock:
    """Held while this process and its children live. Raises HomeFailed where another `up` runs."""

    def __init__(self, home: Path, say: Callable[[str], None] = lambda text: None) -> None:
        self.home = home
        try:
            self.fd = os.open(home / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HomeFailed(explain(home, error)) from None
        try:
            self._take(say)
        except BaseException:
            os.close(self.fd)
            raise

    def _take(self, say: Callable[[str], None]) -> None:
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HomeFailed(self._who()) from None
        give_up = time.monotonic() + _LEFTOVERS_GO_WITHIN
        has_told = False
        while True:
            try:
                return fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > give_up:
                    raise HomeFailed(
                        f"Processes of an earlier `up` in MAILWEIR_HOME={self.home} are still alive. "
                        "Find them with `fuser " + str(self.home / "up.lock") + "` and end them."
                    ) from None
            if not has_told:
                say("waiting for the last processes of an earlier `up` to end")
                has_told = True
            time.sleep(0.05)

    def _who(self) -> str:
        pid = self._holder()
        address = read(self.home / "run.json").get("http", "")
        who = f" with pid {pid}" if pid > 0 else ""
        where = f" at {address}" if address else ""
        return (
            f"Mailweir runs already in MAILWEIR_HOME={self.home}{who}{where}. "
            "Stop that one first, or set MAILWEIR_HOME to another folder."
        )

    def _holder(self) -> int:
        with suppress(OSError, struct.error):
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            return int(struct.unpack(_FLOCK, fcntl.fcntl(self.fd, fcntl.F_GETLK, asked))[4])
        return 0

    def release(self) -> None:
        os.close(self.fd)


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Replace the file at once: a reader sees the old content or the new, never half of it."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_text(json.dumps(content) + "\n")
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def read(path: Path) -> dict[str, Any]:
    """What the file says; empty where there is none or it is no JSON object."""
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text())
        return content if isinstance(content, dict) else {}
    return {}
