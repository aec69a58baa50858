"""A system for one fault: database, Valkey, sink and a whole `manage.py up`, each of its own.

    with Rig(folder, "postgres", settings) as rig:
        rig.system, rig.sink, rig.postgres, rig.valkey

The reply timeout is 5 s and the first retry comes after 5 s, so that a run shows the end of what its fault
began. All else is as shipped, and databases wait for the disk.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.faults.book import Api
from bench.faults.sink import RecordingSink
from tests.postgres import PostgresServer
from tests.processes import parent_and_state
from tests.system import System
from tests.valkey import ValkeyServer

SESSIONS, WORKERS = 10, 2
RETRY_FIRST = 5
BASE = {
    "MAILWEIR_WORKERS": str(WORKERS),
    "MAILWEIR_SITE_SESSIONS": str(SESSIONS),
    "MAILWEIR_RETRY_FIRST": f"{RETRY_FIRST}s",
    "MAILWEIR_REPLY_TIMEOUT": "5s",
    "MAILWEIR_HOSTNAME": "ours.fault.test",
}


class Rig:
    """`settings` are more of them, by the sink's address; `own_valkey`: one that we can stop, in place of
    the embedded one."""

    def __init__(
        self,
        folder: Path,
        database: str,
        settings: Callable[[tuple[str, int]], dict[str, str]],
        *,
        own_valkey: bool = False,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.folder, self.database = folder, database
        self._stack = contextlib.ExitStack()
        self.sink = RecordingSink()
        self.postgres = Postgres(environment or {}) if database == "postgres" else None
        self.valkey = ValkeyServer(folder / "v.sock") if own_valkey else None
        self._environment = environment or {}
        self._settings = settings(self.sink.address)

    def __enter__(self) -> Rig:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self._stack.enter_context(self.sink)
        url = ""
        if self.postgres is not None:
            self._stack.enter_context(self.postgres)
            url = self.postgres.create_database()
        host, port = self.sink.address
        settings = {**BASE, "MAILWEIR_ROUTE": f"smtp://{host}:{port}?tls=none", **self._settings}
        if self.valkey is not None:
            self._stack.enter_context(self.valkey)
            settings["REDIS_URL"] = self.valkey.url
        home = self.folder / "h"
        home.mkdir(mode=0o700, exist_ok=True)
        self.system = System(home=home, database_url=url, settings=settings)
        self.system.env |= self._environment
        self._stack.callback(self.system.close)
        self.system.start()
        said = self.system.manage("apikey", "create", "faults", "--scope", "submit,read").stdout
        self._key = said.strip().splitlines()[-1].split()[-1]

    @property
    def api(self) -> Api:
        return Api(self.system.http, self._key)

    # What can be killed

    def runners(self) -> list[int]:
        """Queue runners at work: what RQ workers forked."""
        return [pid for pid in self.system.children() if is_worker(parent_and_state(pid)[0])]

    def workers(self) -> list[int]:
        """RQ workers, the runners' parents."""
        return [pid for pid in self.system.children() if is_worker(pid)]

    def embedded_valkey(self) -> list[int]:
        return [pid for pid in self.system.children() if "valkey" in name_of(pid)]


class Postgres(PostgresServer):
    """One that waits for the disk, with more variables in its environment."""

    def __init__(self, environment: dict[str, str]) -> None:
        super().__init__(durable=True)
        self._environment = environment

    @property
    def _options(self) -> dict[str, Any]:
        options = super()._options
        return {**options, "env": options["env"] | self._environment}


def kill(pid: int, number: int = signal.SIGKILL) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def name_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def is_worker(pid: int) -> bool:
    return name_of(pid).startswith("mw-worker")
