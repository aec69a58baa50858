"""The sandbox's own SQLite file: its tables, and how a connection to it is opened.

Not Django's database: the sandbox stands for the world outside, so its record must not share the
fate (or the transactions) of what it is used to check.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

FILE_NAME = "sandbox.sqlite3"
MAX_RECEIPTS = 1_000_000
_VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS receipt (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,
    message_id TEXT NOT NULL, size INTEGER NOT NULL, scenario TEXT NOT NULL, mail_id INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS receipt_message_id ON receipt (message_id);
CREATE TABLE IF NOT EXISTS mail (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, sender TEXT NOT NULL, recipients TEXT NOT NULL,
    client TEXT NOT NULL, helo TEXT NOT NULL, tls TEXT NOT NULL, size INTEGER NOT NULL,
    subject TEXT NOT NULL, message_id TEXT NOT NULL, is_compressed INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS refusal (
    scenario TEXT NOT NULL, code INTEGER NOT NULL, enhanced TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (scenario, code, enhanced)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS total (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
"""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open or make the file; one that is broken or of another version is moved aside, not repaired."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _open(path)
    except sqlite3.OperationalError:
        raise  # no permission, no room, locked: not the file's fault
    except sqlite3.DatabaseError:
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.replace(path.with_name(path.name + ".broken" + suffix))
        return _open(path)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"version {version} of the sandbox's file is not known")
        connection.executescript(_TABLES)
        connection.execute(f"PRAGMA user_version={_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.OperationalError while there is no file yet."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
    connection.row_factory = sqlite3.Row
    return connection
