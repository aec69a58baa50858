"""`run.json`: the addresses in use, for scripts, tests and `demo`; there only while something runs.

`up` writes all of them at once, when every part accepts work. A part that runs alone adds its own
and takes it away again; `pids` says whose each address is.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from queueapp.conf import Address, Conf
from queueapp.workers import home
from queueapp.workers.listening import reachable


def read(conf: Conf) -> dict[str, Any]:
    """The addresses of what runs in this home; empty where nothing does."""
    found = home.read(conf.run_file)
    return found if is_alive(found.get("pid")) else {}


def is_alive(pid: object) -> bool:
    return isinstance(pid, int) and pid > 0 and Path(f"/proc/{pid}").exists()


def write(conf: Conf, **addresses: Address) -> None:
    """All addresses at once. A wildcard becomes an address that can be connected to."""
    content = {**_shown(addresses), "route": conf.route.kind, "pid": os.getpid(), "ready": True}
    home.write(conf.run_file, content)


def add(conf: Conf, **addresses: Address) -> None:
    """Beside what other single parts wrote; an `up` that runs keeps its own."""
    with _alone(conf):
        found = home.read(conf.run_file)
        pids = {name: pid for name, pid in found.get("pids", {}).items() if is_alive(pid)}
        if is_alive(found.get("pid")) and "pids" not in found:
            return
        kept = {name: found[name] for name in pids if name in found}
        pids |= dict.fromkeys(addresses, os.getpid())
        content = {**kept, **_shown(addresses), "pid": os.getpid(), "pids": pids, "ready": True}
        home.write(conf.run_file, content)


def remove(conf: Conf) -> None:
    """Take away what this process wrote: another may run in this home by now."""
    with suppress(OSError), _alone(conf):
        found = home.read(conf.run_file)
        left = {
            name: pid for name, pid in found.get("pids", {}).items() if pid != os.getpid() and is_alive(pid)
        }
        if left:
            kept = {name: found[name] for name in left if name in found}
            home.write(conf.run_file, {**kept, "pid": max(left.values()), "pids": left, "ready": True})
        elif found.get("pid") == os.getpid():
            conf.run_file.unlink(missing_ok=True)


def forget(conf: Conf) -> None:
    """Remove what a killed `up` left. Only for the holder of the home's lock."""
    with suppress(OSError):
        conf.run_file.unlink(missing_ok=True)


def _shown(addresses: dict[str, Address]) -> dict[str, str]:
    texts = {name: str(reachable(address)) for name, address in addresses.items()}
    return {name: f"http://{text}" if name == "http" else text for name, text in texts.items()}


@contextmanager
def _alone(conf: Conf) -> Iterator[None]:
    with open(conf.home / ".run.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
