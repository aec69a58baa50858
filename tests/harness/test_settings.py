"""Tests see a home, a database and a Valkey of their own, never the developer's."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db import connection

from tests.system import System
from tests.valkey import ValkeyServer


def test_it_has_a_home_of_its_own() -> None:
    home = Path(os.environ["MAILWEIR_HOME"])
    assert home.is_relative_to(Path(tempfile.gettempdir()))
    assert os.environ["MAILWEIR_HTTP"].endswith(":0")


@pytest.mark.django_db
def test_it_uses_the_database_that_was_asked_for() -> None:
    wanted = {"sqlite": "sqlite", "postgres": "postgresql"}[os.environ.get("MAILWEIR_TEST_DB", "sqlite")]
    assert connection.vendor == wanted
    assert "test" in str(connection.settings_dict["NAME"])


@pytest.mark.django_db
@pytest.mark.once
def test_sqlite_is_a_file_in_wal_mode_as_in_use() -> None:
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert sqlite3.connect(connection.settings_dict["NAME"]).execute("SELECT 1").fetchone() == (1,)


def test_valkey_is_where_the_settings_say_and_empty(valkey: ValkeyServer) -> None:
    assert settings.CACHES["default"]["LOCATION"] == valkey.url
    with redis.Redis.from_url(valkey.url) as client:
        assert client.dbsize() == 0
        client.set("left", "over")


def test_valkey_is_empty_again_for_the_next_test(valkey: ValkeyServer) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        assert client.dbsize() == 0


def test_a_system_inherits_no_setting_of_the_tests() -> None:
    system = System(settings={"MAILWEIR_WORKERS": "1"})
    try:
        assert "DATABASE_URL" not in system.env
        assert "REDIS_URL" not in system.env
        assert system.env["MAILWEIR_HOME"] != os.environ["MAILWEIR_HOME"]
        assert system.env["MAILWEIR_WORKERS"] == "1"
    finally:
        system.close()
    assert not system.home.exists()
