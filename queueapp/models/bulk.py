"""Many rows in one call, in the way that is quickest on each database.

PostgreSQL: COPY for new rows, and one statement over arrays for changes. SQLite: one prepared
statement for all rows. Both give the same result (tests/models/test_bulk.py runs on both).

Never: opens a transaction, or checks what a model's field would check. The engine's hot paths
use this; all else goes through the ORM.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection
from psycopg.types.json import Jsonb

Row = Sequence[Any]


class ManyRows:
    """One statement for many rows, each a tuple in the order of `columns` ("id:bigint text:text …").

    In `postgresql` the rows are `{rows}`, a table `v` with these columns; it may return rows. In
    `sqlite` the values of a row are `?1`, `?2`, …; it is run for each row, in their order.
    """

    def __init__(self, columns: str, *, postgresql: str, sqlite: str) -> None:
        pairs = [each.split(":") for each in columns.split()]
        self.types = [kind for _, kind in pairs]
        arrays = ", ".join(f"%s::{kind}[]" for kind in self.types)
        names = ", ".join(name for name, _ in pairs)
        self._postgresql = postgresql.replace("{rows}", f"unnest({arrays}) AS v({names})")
        self._sqlite = sqlite

    def run(self, rows: Sequence[Row], *, after: Row = ()) -> list[tuple[Any, ...]]:
        """`after`: parameters of the PostgreSQL statement that stand after the rows."""
        if not rows:
            return []
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                columns = zip(*rows, strict=True)
                arrays = [_ARRAYS[kind](column) for kind, column in zip(self.types, columns, strict=True)]
                cursor.execute(self._postgresql, [*arrays, *after])
                return cursor.fetchall() if cursor.description else []
            cursor.executemany(self._sqlite, _stored(rows, self.types))
        return []


class NewRows:
    """INSERT of many rows into one table, each a tuple in the order of `columns` ("id:bigint …")."""

    def __init__(self, table: str, columns: str) -> None:
        pairs = [each.split(":") for each in columns.split()]
        self.types = [kind for _, kind in pairs]
        names = ", ".join(name for name, _ in pairs)
        self._copy = f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)"
        marks = ", ".join(["%s"] * len(pairs))
        self._insert = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608

    def add(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        with connection.cursor() as cursor:
            if connection.vendor != "postgresql":
                cursor.executemany(self._insert, _stored(rows, self.types))
                return
            # Django wraps the errors of execute, and knows nothing of copy.
            with connection.wrap_database_errors, cursor.copy(self._copy) as copy:
                copy.set_types(self.types)
                for row in _with_json(rows, self.types, Jsonb):
                    copy.write_row(row)


def new_ids(table: str, n: int) -> Sequence[int]:
    """`n` ids for rows about to be added. Inside the transaction that adds them: on SQLite only its
    write lock keeps others from the same ones."""
    if not n:
        return ()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, n]
            )
            return [pk for (pk,) in cursor.fetchall()]
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        found = cursor.fetchone()
        first = (found[0] if found else 0) + 1
        return range(first, first + n)


@contextmanager
def reading() -> Iterator[Any]:
    """A cursor for SELECT. On PostgreSQL values come in binary: a body as hexadecimal text costs more
    than the rest of its way."""
    if connection.vendor == "postgresql":
        connection.ensure_connection()
        with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
            cursor.format = psycopg.pq.Format.BINARY
            yield cursor
    else:
        with connection.cursor() as cursor:
            yield cursor


def as_time(value: datetime | str) -> datetime:
    """A time as a raw query gives it; SQLite gives text."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value if value.tzinfo else value.replace(tzinfo=connection.timezone)


def any_of(column: str) -> str:
    """A condition on one parameter, a list of ids as `id_list` makes it: one text at any length."""
    if connection.vendor == "postgresql":
        return f"{column} = ANY(%s::bigint[])"
    return f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608  our own column names


def id_list(ids: Sequence[int]) -> str:
    inner = ",".join(map(str, ids))
    return f"{{{inner}}}" if connection.vendor == "postgresql" else f"[{inner}]"


def _stored(rows: Sequence[Row], types: Sequence[str]) -> Sequence[Row]:
    """As SQLite wants times and JSON in a raw statement."""
    rows = _with_json(rows, types, json.dumps)
    places = [place for place, kind in enumerate(types) if kind == "timestamptz"]
    if not places:
        return rows
    adapt = connection.ops.adapt_datetimefield_value
    done = []
    for row in rows:
        values = list(row)
        for place in places:
            if isinstance(values[place], datetime):
                values[place] = adapt(values[place])
        done.append(values)
    return done


def _with_json(rows: Sequence[Row], types: Sequence[str], wrap: Callable[[Any], Any]) -> Sequence[Row]:
    if "jsonb" not in types:
        return rows
    place = types.index("jsonb")
    return [(*row[:place], wrap(row[place]), *row[place + 1 :]) for row in rows]


# PostgreSQL's text form of arrays ("Array Input and Output Syntax"): built here since psycopg's own,
# which has to look at each element's type, costs more than the statement.


def _plain(values: Sequence[Any]) -> str:
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def _texts(values: Sequence[str | None]) -> str:
    return "{" + ",".join([_quoted(value) for value in values]) + "}"


def _quoted(value: str | None) -> str:
    if value is None:
        return "NULL"
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    if '"' in value:
        value = value.replace('"', '\\"')
    return f'"{value}"'


def _times(values: Sequence[datetime | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else f'"{value.isoformat()}"' for value in values]) + "}"


_ARRAYS: dict[str, Callable[[Sequence[Any]], str]] = {
    "bigint": _plain,
    "integer": _plain,
    "smallint": _plain,
    "boolean": _plain,
    "text": _texts,
    "timestamptz": _times,
}
