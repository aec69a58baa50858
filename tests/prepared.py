"""Databases that are migrated already: a migrated one is made once a run, and each System gets a copy.

Migrating takes longer than all the rest of a start, and a run of the tests starts some thirty systems. Tests
of the first start itself ask for a `System(is_new=True)` and an `empty_database()`.

The processes of a run (workers of xdist, and the rounds of `make test`) share the copies through the folder
that FOLDER names; whoever needs one first makes it, the others wait. Nothing is kept for another run.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "MAILWEIR_TEST_PREPARED"
SQLITE = "mailweir.sqlite3"  # its name in a home
_TEMPLATE = "mailweir_prepared"


def copy_into(home: Path) -> None:
    """Put a migrated SQLite database into this home."""
    copy_to(home / SQLITE)


def copy_to(file: Path) -> None:
    with _alone() as folder:
        made = folder / SQLITE
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=folder, prefix="h") as home:
                _migrate(Path(home), "")
                (Path(home) / SQLITE).rename(made)
    shutil.copyfile(made, file)


def create_on(server_url: str, name: str) -> str:
    """Make a migrated database of that name on a PostgreSQL server of the tests; returns its URL."""
    base = server_url.rpartition("/")[0]
    with _alone() as folder, psycopg.connect(server_url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_TEMPLATE]).fetchone()
        if not known:
            half = f"{_TEMPLATE}_half"
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(half)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(half)))
            with tempfile.TemporaryDirectory(dir=folder, prefix="h") as home:
                _migrate(Path(home), f"{base}/{half}")
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                    sql.Identifier(half), sql.Identifier(_TEMPLATE)
                )
            )
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(_TEMPLATE))
        )
    return f"{base}/{name}"


def _migrate(home: Path, database_url: str) -> None:
    own = ("MAILWEIR_", "DATABASE_URL", "REDIS_URL", "DJANGO_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    environment |= {"MAILWEIR_HOME": str(home), **({"DATABASE_URL": database_url} if database_url else {})}
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the tests' database can't be migrated:\n{done.stderr.decode(errors='replace')}")


@contextlib.contextmanager
def _alone() -> Iterator[Path]:
    """The folder of this run, for one process at a time. What is played in a scratch folder of its own
    (bench/scratch.py) takes it along when that is gone."""
    if not os.path.isdir(os.environ.get(FOLDER, "")):
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="mw-made-")
        atexit.register(shutil.rmtree, os.environ[FOLDER], ignore_errors=True)
    folder = Path(os.environ[FOLDER])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
