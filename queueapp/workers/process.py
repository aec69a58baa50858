"""One part as a forked process: born clean, reports when it is ready, never outlives `up`.

Promises, on Linux: a child has a process group of its own, so that Ctrl-C in the terminal reaches
only the supervisor; it gets SIGTERM when the supervisor is gone, however that died; it holds none
of the supervisor's connections, timers and signal handlers, and no other part's socket.
"""

from __future__ import annotations

import ctypes
import logging
import os
import random
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_PDEATHSIG, _NAME, _SUBREAPER = 1, 15, 36
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
log = logging.getLogger(__name__)

Ready = Callable[[], None]


def prctl(option: int, value: int | bytes) -> None:
    if _libc is not None:
        _libc.prctl(option, value, 0, 0, 0)


def adopt_orphans() -> None:
    """Grandchildren that lose their parent become ours, so that they can be found and ended."""
    prctl(_SUBREAPER, 1)


def end_with_parent(parent: int) -> None:
    """SIGTERM when the parent dies; at once where it is dead already."""
    prctl(_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def fork(name: str, run: Callable[[Ready], None], close: Iterable[int] = ()) -> tuple[int, int]:
    """Start `run` in a child. Returns its pid and a pipe on which one byte says that it is ready."""
    _let_go_of_connections()
    parent = os.getpid()
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    # A signal between the fork and the child's own handlers would run ours and be lost to the child.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _be_child(name, run, writer, parent, [*close, reader])
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.set_blocking(reader, False)
    with suppress(OSError):
        os.setpgid(pid, pid)
    return pid, reader


def _let_go_of_connections() -> None:
    from django.db import connections

    connections.close_all()


def _be_child(
    name: str, run: Callable[[Ready], None], writer: int, parent: int, close: list[int]
) -> NoReturn:
    code = 1
    try:
        _settle(name, parent, close)
        run(lambda: _report(writer))
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        log.exception("%s failed", name)
    finally:
        logging.shutdown()
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _settle(name: str, parent: int, close: list[int]) -> None:
    signal.set_wakeup_fd(-1)
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM):
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    with suppress(OSError):
        os.setpgid(0, 0)
    prctl(_NAME, f"mw-{name}".encode()[:15])
    for fd in close:
        with suppress(OSError):
            os.close(fd)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    random.seed()
    end_with_parent(parent)


def _report(writer: int) -> None:
    with suppress(OSError):
        os.write(writer, b"1")
        os.close(writer)


def descendants(pid: int) -> list[int]:
    """All processes below this one, parents first, zombies included."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
            below.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found: list[int] = []
    todo = [pid]
    while todo:
        children = below.get(todo.pop(), [])
        found += children
        todo += children
    return found


def send(pid: int, sign: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, sign)
