"""The database at a start: reachable, migrated, with a first administrator.

Promises: two machines that start at once on one PostgreSQL migrate one after the other; the
password of the first administrator is made once and kept only as its hash.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, InterfaceError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from queueapp import conf

ADMINISTRATOR = "admin"
_LOCK = 0x6D77_0001  # PostgreSQL's advisory lock for our migrations
UNREACHABLE = (DatabaseError, InterfaceError)


def n_pending() -> int:
    """How many migrations are not applied."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def migrate() -> int:
    """Apply what is missing; returns how many migrations that were."""
    if not n_pending():
        return 0
    with _one_at_a_time():
        n = n_pending()
        if n:
            call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
        return n


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def first_administrator(password: str = "") -> str | None:
    """Make the user `admin` where there is no administrator; its password, None where there was one."""
    users = get_user_model()._default_manager
    if users.filter(is_superuser=True).exists():
        return None
    password = password or secrets.token_urlsafe(12)
    try:
        with transaction.atomic():
            users.create_superuser(ADMINISTRATOR, None, password)
    except IntegrityError:
        return None  # another machine was faster, or somebody is called so who is no administrator
    return password


def place() -> str:
    """Where the database is, for people: host, port and name, never a password."""
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"the SQLite file {found['NAME']}"
    host, port = found["HOST"] or "the local socket", found["PORT"] or "5432"
    return f"PostgreSQL at {host}:{port}, database {found['NAME']!r}, user {found['USER']!r}"


def explain(error: Exception) -> str:
    """One line: what happened, where, and what to check."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    what = lines[0][:300] if lines else type(error).__name__
    return f"The database is away: {place()}: {what}. {_advice(what)}"


def _advice(what: str) -> str:
    if "disk is full" in what or "No space left" in what:
        return "Make room on that file system (`df`, `df -i`)."
    if connection.vendor != "sqlite":
        return "Check that the server runs, and the host, port, name, user and password in DATABASE_URL."
    if "not a database" in what or "malformed" in what:
        return "The file is damaged or no database of ours: restore it from a backup, or move it away."
    where = "DATABASE_URL" if conf.current().database_url else "MAILWEIR_HOME"
    return f"Check that the file and its folder exist and this user may write both ({where})."
