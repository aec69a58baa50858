"""The queues that a Django project would use: django-post_office and django-mailer.

Each runs in a scratch project (django_project.py) on the same kind of database as ours, in its best
mode: post_office in batches of 5,000, with processes and threads that make as many sessions as the
others have; django-mailer as the one process that it is. They take mail from Django only, so they take
part where a loaded queue is drained.

They are development packages of their own (`bench` in pyproject.toml), which `make bench` installs.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from bench.mails import Mails
from bench.systems.base import ROOT, USUAL, Contender, Failed, Wishes, end_session, run_module
from tests.postgres import PostgresMissing, PostgresServer, find_binaries
from tests.processes import die_with_parent

PROCESSES = 2


class DjangoQueue(Contender):
    takes_smtp = False
    app = ""
    is_on_postgres = False

    def __init__(self, folder: Path, sink: tuple[str, int], wishes: Wishes = USUAL) -> None:
        super().__init__(folder, sink, wishes)
        self.server: PostgresServer | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.env: dict[str, str] = {}

    @classmethod
    def why_missing(cls) -> str:
        if importlib.util.find_spec(cls.app) is None:
            return f"the Python package of {cls.app} is not installed (`make bench` brings it)"
        if cls.is_on_postgres:
            try:
                find_binaries()
            except PostgresMissing as error:
                return str(error)
        return ""

    @property
    def smtp_address(self) -> tuple[str, int]:
        raise Failed(f"{self.label} takes no mail by SMTP")

    def command(self) -> list[str]:
        """What sends the queue, as its manual says."""
        raise NotImplementedError

    def start(self, *, delivering: bool) -> None:
        if not self.env:
            self._prepare()
        if delivering:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "django", *self.command()],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=(self.folder / "stderr").open("ab"),
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def _prepare(self) -> None:
        url = f"sqlite:///{self.folder}/queue.sqlite3"
        if self.is_on_postgres:
            self.server = PostgresServer(durable=True)
            self.server.start()
            url = self.server.create_database()
        ours = ("MAILWEIR_", "DATABASE_URL", "REDIS_URL", "DJANGO_")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
            "DJANGO_SETTINGS_MODULE": "bench.systems.django_project",
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": url,
            "BENCH_APP": self.app,
            "BENCH_SINK_HOST": self.sink[0],
            "BENCH_SINK_PORT": str(self.sink[1]),
            "BENCH_THREADS": str(max(1, self.wishes.sessions // PROCESSES)),
        }
        run_module("django", "migrate", "--verbosity", "0", env=self.env)

    def load(self, mails: Mails) -> None:
        run_module("bench.systems.django_load", self.app, *mails.arguments(), env=self.env)

    def roots(self) -> list[int]:
        server = [self.server.process.pid] if self.server and self.server.process else []
        return [*([self.process.pid] if self.process else []), *server]

    def close(self) -> None:
        if self.process is not None:
            end_session(self.process)
        if self.server is not None:
            self.server.stop()

    def sign_of_trouble(self) -> str:
        path = self.folder / "stderr"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""


class PostOffice(DjangoQueue):
    label = "post_office sqlite"
    app = "post_office"

    def command(self) -> list[str]:
        lock = str(self.folder / "lock")
        return ["send_queued_mail", "--processes", str(PROCESSES), "--log-level", "1", "--lockfile", lock]


class PostOfficeOnPostgres(PostOffice):
    label = "post_office postgres"
    is_on_postgres = True


class Mailer(DjangoQueue):
    label = "django-mailer sqlite"
    has_sessions = False
    share = 0.1
    app = "mailer"

    def command(self) -> list[str]:
        return ["send_mail"]


class MailerOnPostgres(Mailer):
    label = "django-mailer postgres"
    is_on_postgres = True
