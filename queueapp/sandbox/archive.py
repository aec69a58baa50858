"""Reading the sandbox's record, from any process: for its page, for tests and for benches.

Opens the file read-only for each call, so nothing is held and a file that doesn't exist yet reads as
an empty record. `clear` is the one call that writes.
`Mail.content` is what came in, byte for byte.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from queueapp.sandbox.schema import FILE_NAME, MAX_RECEIPTS, open_for_reading

_MAX_ROWS = 1000
_COLUMNS = "id, at, sender, recipients, client, helo, tls, size, subject, message_id"


@dataclass(frozen=True, slots=True)
class Mail:
    """A kept mail. `at`: Unix time. `content` is empty in lists."""

    id: int
    at: float
    sender: str
    recipients: tuple[str, ...]
    client: str
    helo: str
    tls: str
    size: int
    subject: str
    message_id: str
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One accepted recipient."""

    id: int
    at: float
    sender: str
    recipient: str
    message_id: str
    size: int
    scenario: str
    mail_id: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """How often a scenario gave a reply; code 0: closed without one."""

    scenario: str
    code: int
    enhanced: str
    n: int


@dataclass(frozen=True, slots=True)
class Counts:
    """All since the last `clear`, also what is no longer kept."""

    recipients: int = 0
    mails: int = 0
    refusals: tuple[Refusal, ...] = ()

    @property
    def refused(self) -> int:
        return sum(refusal.n for refusal in self.refusals)


class Archive:
    """`path` is the file; `Archive.in_home(home)` finds it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def in_home(cls, home: Path) -> Archive:
        return cls(home / FILE_NAME)

    def list_mails(self, limit: int = 50, before: int = 0, query: str = "") -> list[Mail]:
        """The newest first, `before` that id; `query` is a part of sender, recipients or subject."""
        where, arguments = "id < ?", [before or 1 << 62]  # type: tuple[str, list[Any]]
        if query:
            pattern = "%" + query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            names = ("sender", "recipients", "subject")
            where += " AND (" + " OR ".join(f"{name} LIKE ? ESCAPE '\\'" for name in names) + ")"
            arguments += [pattern] * 3
        arguments.append(max(1, min(limit, _MAX_ROWS)))
        rows = self._rows(f"SELECT {_COLUMNS} FROM mail WHERE {where} ORDER BY id DESC LIMIT ?", arguments)
        return [_mail(row) for row in rows]

    def get(self, mail_id: int) -> Mail | None:
        """One mail with its content, or None if it isn't kept (any more)."""
        rows = self._rows(f"SELECT {_COLUMNS}, is_compressed, content FROM mail WHERE id = ?", [mail_id])
        if not rows:
            return None
        content = zlib.decompress(rows[0]["content"]) if rows[0]["is_compressed"] else rows[0]["content"]
        return _mail(rows[0], content)

    def receipts(
        self, *, message_id: str = "", recipient: str = "", after: int = 0, limit: int = MAX_RECEIPTS
    ) -> list[Receipt]:
        """Accepted recipients in order of acceptance, with an id above `after`."""
        where, arguments = "id > ?", [after]  # type: tuple[str, list[Any]]
        for name, value in (("message_id", message_id), ("recipient", recipient)):
            if value:
                where += f" AND {name} = ?"
                arguments.append(value)
        sql = f"SELECT * FROM receipt WHERE {where} ORDER BY id LIMIT ?"
        return [Receipt(*row) for row in self._rows(sql, [*arguments, limit])]

    def counts(self) -> Counts:
        with self._open() as connection:
            if connection is None:
                return Counts()
            totals = dict(connection.execute("SELECT name, n FROM total").fetchall())
            refusals = connection.execute("SELECT scenario, code, enhanced, n FROM refusal").fetchall()
        refused = tuple(Refusal(*row) for row in refusals)
        return Counts(totals.get("recipients", 0), totals.get("mails", 0), refused)

    def count_by_message_id(self) -> dict[str, int]:
        """How many recipients were accepted for each Message-ID."""
        rows = self._rows("SELECT message_id, count(*) FROM receipt GROUP BY message_id", [])
        return {row[0]: row[1] for row in rows}

    def repeats(self) -> dict[tuple[str, str], int]:
        """(Message-ID, recipient) that was accepted more than once, and how often."""
        sql = "SELECT message_id, recipient, count(*) FROM receipt GROUP BY 1, 2 HAVING count(*) > 1"
        return {(row[0], row[1]): row[2] for row in self._rows(sql, [])}

    def clear(self) -> None:
        """Forget everything, also while a sandbox writes."""
        if not self.path.exists():
            return
        with closing(sqlite3.connect(self.path, timeout=10, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in ("receipt", "mail", "refusal", "total"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("COMMIT")

    def _rows(self, sql: str, arguments: list[Any]) -> list[sqlite3.Row]:
        with self._open() as connection:
            return connection.execute(sql, arguments).fetchall() if connection else []

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection | None]:
        try:
            connection = open_for_reading(self.path)
            is_made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'total'").fetchone()
        except sqlite3.OperationalError:
            yield None
            return
        with closing(connection):
            yield connection if is_made else None


def _mail(row: sqlite3.Row, content: bytes = b"") -> Mail:
    values = {name: row[name] for name in _COLUMNS.split(", ")}
    return Mail(**{**values, "recipients": tuple(row["recipients"].split("\n")), "content": content})
