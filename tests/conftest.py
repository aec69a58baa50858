"""What every test gets: a home, a database and a Valkey of its own, whatever the machine is set to.

The environment is set here, before Django's settings are read. `MAILWEIR_TEST_DB=postgres` runs the
suite on a private PostgreSQL server, else it runs on SQLite files. Fixtures:

    db, transactional_db   the database (pytest-django)
    valkey                 an empty private Valkey, at the address that the settings name
    system                 a real `manage.py up`, one for each test module (tests/system.py)
    database_url           a new migrated database for a module's System; "" is SQLite in its home
    own_database_url       the same for a single test
    empty_database_url     the same without any table
    program                `program("swaks")` is the path of a program; skips where it is missing
    browser                Debian's Chromium, driven by Playwright

Marks: see pyproject.toml. Tests that touch no database are marked `once` by themselves.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import prepared, programs
from tests.postgres import SERVER_URL, PostgresServer, empty_database, migrated_database
from tests.system import System
from tests.valkey import ValkeyServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_HOME = Path(tempfile.mkdtemp(prefix="mw-test-"))
_DATABASE = os.environ.get("MAILWEIR_TEST_DB", "sqlite")
_DATABASE_FIXTURES = {
    "db", "transactional_db", "django_db_setup", "client", "admin_client", "admin_user", "live_server",
    "system", "database_url", "own_database_url", "empty_database_url",
}  # fmt: skip
_SYSTEM_FIXTURES = {"system", "database_url", "own_database_url", "empty_database_url"}
_DATABASE_CASES = ("TestCase", "TransactionTestCase", "LiveServerTestCase")


def _set_environment() -> None:
    for name in [name for name in os.environ if name.startswith("MAILWEIR_") and "_TEST_" not in name]:
        del os.environ[name]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "MAILWEIR_HOME": str(_HOME),
        "MAILWEIR_HTTP": "127.0.0.1:0",
        "MAILWEIR_SMTP": "127.0.0.1:0",
        "MAILWEIR_SANDBOX": "127.0.0.1:0",
        "DATABASE_URL": os.environ.get(SERVER_URL, "") or f"sqlite:///{_HOME / 'main.sqlite3'}",
        "REDIS_URL": f"unix://{_HOME / 'valkey.sock'}",
    }


# ── Start and end of the run ──────────────────────────────────────────────────────────────────

_postgres: PostgresServer | None = None
if "dashboard.settings" in sys.modules:
    raise pytest.UsageError("Django was set up before the tests could: unset DJANGO_SETTINGS_MODULE.")
if _DATABASE not in ("sqlite", "postgres"):
    raise pytest.UsageError(f"MAILWEIR_TEST_DB={_DATABASE!r} is not allowed: sqlite or postgres.")
if _DATABASE == "postgres" and not os.environ.get(SERVER_URL):
    _postgres = PostgresServer()
    _postgres.start()
    os.environ[SERVER_URL] = _postgres.url
_set_environment()
os.environ.setdefault(prepared.FOLDER, str(_HOME))  # of the first process; its workers inherit it

from django.conf import settings  # noqa: E402

settings.DATABASES  # noqa: B018  pytest-django sets Django up only where settings are loaded by now
REAL_HASHERS = list(settings.PASSWORD_HASHERS)
settings.PASSWORD_HASHERS = ["tests.passwords.QuickArgon2", *REAL_HASHERS[1:]]

from queueapp import hints  # noqa: E402

hints.EVERY = (
    0.0  # a kick is looked for right after it, and none may come late, in the middle of the next test
)


def pytest_unconfigure() -> None:
    if _postgres is not None:
        _postgres.stop()
        os.environ.pop(SERVER_URL, None)
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """A worker that inherits this would read the settings before its own conftest made them its own."""
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)


def pytest_report_header() -> str:
    return f"mailweir: database {_DATABASE}"


# ── Marks ─────────────────────────────────────────────────────────────────────────────────────


def _uses_database(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    case = getattr(item, "cls", None)
    bases = {base.__name__ for base in case.__mro__} if case else set()
    return bool(
        item.get_closest_marker("django_db") or fixtures & _DATABASE_FIXTURES or bases & set(_DATABASE_CASES)
    )


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "browser" in fixtures:
            item.add_marker("browser")
        if _SYSTEM_FIXTURES & set(fixtures):
            item.add_marker("system")
        if item.get_closest_marker("browser") or not _uses_database(item):
            item.add_marker("once")
    # The longest ones first, so that nobody waits for one of them at the end.
    items.sort(key=lambda item: "faults" not in item.path.parts)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            _require(name)


def _require(name: str) -> str:
    path = programs.find(name)
    if path is not None:
        return path
    if programs.is_ci():
        pytest.fail(f"with CI=true nothing is skipped: {programs.why_missing(name)}", pytrace=False)
    pytest.skip(programs.why_missing(name))


# ── Fixtures ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """SQLite is a file, as in use: in memory there is no WAL, and threads can't share it."""
    from django.db import connection

    if connection.vendor == "sqlite":
        file = _HOME / "test.sqlite3"
        settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = str(file)
        prepared.copy_to(file)
    else:
        prepared.create_on(os.environ[SERVER_URL], connection.creation._get_test_db_name())


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The database is there already, migrated; it goes with the run's folder or server."""
    return True


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Tests empty all tables between them, which the audit would refuse: these triggers are left out here,
    and are back in tests/models/test_append_only.py."""
    from django.db import connection

    from queueapp.models import append_only
    from tests import emptying

    with django_db_blocker.unblock():
        emptying.remember()
        emptying.quickly(connection)
        append_only.remove(
            connection, "audit_no_delete" if connection.vendor == "sqlite" else "audit_no_truncate"
        )


@pytest.fixture(scope="session")
def _valkey_server() -> Iterator[ValkeyServer]:
    with ValkeyServer(_HOME / "valkey.sock") as server:
        yield server


@pytest.fixture
def valkey(_valkey_server: ValkeyServer) -> ValkeyServer:
    """A Valkey with nothing in it, at the address that the settings name."""
    _valkey_server.flush()
    return _valkey_server


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    return _require


@pytest.fixture(scope="module")
def database_url() -> str:
    """A new migrated database for the Systems of a module; "" is SQLite in their homes."""
    return migrated_database()


@pytest.fixture
def own_database_url() -> str:
    """The same for a single test, where what another left behind would be in the way."""
    return migrated_database()


@pytest.fixture
def empty_database_url() -> str:
    """The same without any table, for a first start."""
    return empty_database()


@pytest.fixture(autouse=True)
def _no_remembered_rows() -> Iterator[None]:
    """The process remembers ids of domains and keys; tests take the rows back."""
    yield
    if "queueapp.engine.signing" in sys.modules:
        sys.modules["queueapp.engine.signing"].forget()
    if "queueapp.engine.domains" in sys.modules:
        sys.modules["queueapp.engine.domains"].forget()


@pytest.fixture(scope="module")
def system(database_url: str) -> Iterator[System]:
    with System(database_url=database_url) as running:
        yield running


@pytest.fixture(scope="module")  # Playwright's loop runs in this thread, where other tests start their own
def browser() -> Iterator[Browser]:
    path = _require("chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # other tests run beside this one
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    options: dict[str, Any] = {"executable_path": path, "args": [*quiet, "--disable-component-update"]}
    if os.geteuid() == 0:
        options["chromium_sandbox"] = False  # Chromium's own sandbox refuses root
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(**options)
        yield running
        running.close()
