"""Ours: a whole `manage.py up`, on SQLite or on a PostgreSQL of its own that waits for the disk.

PostgreSQL's processes count as ours, as does Valkey. The sessions are shared out to two runners.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from bench.mails import Mails
from bench.systems.base import USUAL, Contender, Failed, Wishes, run_module
from tests.postgres import PostgresMissing, PostgresServer, find_binaries
from tests.system import System, SystemFailed

WORKERS = 2


class Mailweir(Contender):
    is_ours = True
    database = "sqlite"

    def __init__(self, folder: Path, sink: tuple[str, int], wishes: Wishes = USUAL) -> None:
        super().__init__(folder, sink, wishes)
        self.system: System | None = None
        self.keeps_in: Path | None = None  # where what it stores is kept for another run
        self._key = ""

    def start(self, *, delivering: bool) -> None:
        if self.system is None:
            self.system = System(home=self._home(), database_url=self._database_url())
        elif self.system.process is not None:
            self.system.stop(within=60)
        self.system.env |= self._settings(delivering)
        try:
            self.system.start()
        except SystemFailed as error:
            raise Failed(str(error)) from None

    def _home(self) -> Path:
        home = (self.keeps_in or self.folder) / "h"
        home.mkdir(mode=0o700, exist_ok=True)
        return home

    def _database_url(self) -> str:
        return ""

    def _settings(self, delivering: bool) -> dict[str, str]:
        host, port = self.sink
        return {
            "MAILWEIR_ROUTE": f"smtp://{host}:{port}?tls=none",
            "MAILWEIR_SITE_SESSIONS": str(self.wishes.sessions),
            "MAILWEIR_HOSTNAME": "ours.bench.test",
            **self.wishes.settings,
            "MAILWEIR_WORKERS": str(WORKERS if delivering else 0),
        }

    def load(self, mails: Mails) -> None:
        self.fill(*mails.arguments())

    def fill(self, *arguments: str, module: str = "bench.fill") -> str:
        """Run a loader that uses our code, with this system's settings; returns what it printed."""
        assert self.system is not None
        return run_module(module, *arguments, env=self.system.env)

    @property
    def smtp_address(self) -> tuple[str, int]:
        assert self.system is not None
        return self.system.smtp_address

    @property
    def http(self) -> str:
        assert self.system is not None
        return self.system.http

    @property
    def key(self) -> str:
        """An API key that may submit; made at first use."""
        if not self._key:
            assert self.system is not None
            said = self.system.manage("apikey", "create", "bench", "--scope", "submit").stdout
            self._key = said.strip().splitlines()[-1].split()[-1]
        return self._key

    def roots(self) -> list[int]:
        return [self.system.pid] if self.system and self.system.process else []

    def close(self) -> None:
        if self.system is not None:
            with contextlib.suppress(SystemFailed):
                if self.system.process is not None and self.system.process.poll() is None:
                    self.system.stop()
            self.system.close()

    def sign_of_trouble(self) -> str:
        return self.system.log(3000) if self.system else ""


class OnSqlite(Mailweir):
    label = "mailweir sqlite"


class OnPostgres(Mailweir):
    label = "mailweir postgres"
    database = "postgres"

    def __init__(self, folder: Path, sink: tuple[str, int], wishes: Wishes = USUAL) -> None:
        super().__init__(folder, sink, wishes)
        self.server: PostgresServer | None = None

    @classmethod
    def why_missing(cls) -> str:
        try:
            find_binaries()
        except PostgresMissing as error:
            return str(error)
        return ""

    def _database_url(self) -> str:
        self.server = PostgresServer(durable=True, folder=self.keeps_in and self.keeps_in / "pg")
        self.server.start()
        named = self.keeps_in and self.keeps_in / "database"
        if named and named.exists():
            return f"{self.server.url.rpartition('/')[0]}/{named.read_text()}"
        url = self.server.create_database()
        if named:
            named.write_text(url.rpartition("/")[2])
        return url

    def roots(self) -> list[int]:
        server = [self.server.process.pid] if self.server and self.server.process else []
        return super().roots() + server

    def close(self) -> None:
        super().close()
        if self.server is not None:
            self.server.stop()
