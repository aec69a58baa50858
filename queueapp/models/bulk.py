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
from datetime import datetime, timedelta
from typing import Any

import psycopg
from django.db import connection
from psycopg.types.json import Jsonb

from queueapp.models.trips import first, is_waiting, put, send_what_waits

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
        self._numbered = _numbered(self._postgresql)
        self._sqlite = sqlite

    def run(self, rows: Sequence[Row], *, after: Row = ()) -> list[tuple[Any, ...]]:
        """`after`: parameters of the PostgreSQL statement that stand after the rows. Returns what the
        statement returns, and nothing inside `together` or on SQLite."""
        if not rows:
            return []
        if connection.vendor != "postgresql":
            with connection.cursor() as cursor:
                cursor.executemany(self._sqlite, _stored(rows, self.types))
            return []
        arrays = _arrays(self.types, rows)
        if is_waiting():
            put(self._numbered, [*arrays, *after])
            return []
        return first(self._postgresql, [*arrays, *after])


class NewRows:
    """INSERT of many rows into one table, each a tuple in the order of `columns` ("id:bigint …")."""

    def __init__(self, table: str, columns: str) -> None:
        pairs = [each.split(":") for each in columns.split()]
        self.types = [kind for _, kind in pairs]
        names = ", ".join(name for name, _ in pairs)
        self._copy = f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)"
        self._insert = f"INSERT INTO {table} ({names}) "  # noqa: S608
        self._marks = "VALUES (" + ", ".join(["%s"] * len(pairs)) + ")"
        arrays = ", ".join(f"%s::{kind}[]" for kind in self.types)
        self._numbered = _numbered(f"{self._insert}SELECT * FROM unnest({arrays})")  # noqa: S608

    def add(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        if connection.vendor != "postgresql":
            with connection.cursor() as cursor:
                cursor.executemany(self._insert + self._marks, _stored(rows, self.types))
            return
        if len(rows) <= FEW and self._wait(rows):
            return
        send_what_waits()
        # Django wraps the errors of execute, and knows nothing of copy.
        with (
            connection.cursor() as cursor,
            connection.wrap_database_errors,
            cursor.copy(self._copy) as copy,
        ):
            copy.set_types(self.types)
            for row in _with_json(rows, self.types, Jsonb):
                copy.write_row(row)

    def _wait(self, rows: Sequence[Row]) -> bool:
        """For a few rows a round trip of their own is dearer than INSERT; large values stay out of it."""
        if not is_waiting():
            return False
        if any(isinstance(value, bytes) and len(value) > LARGE for row in rows for value in row):
            return False
        put(self._numbered, _arrays(self.types, rows))
        return True


# Up to so many rows go with other statements, if no value has more octets than this.
FEW, LARGE = 50, 64 * 1024


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


def as_duration(value: timedelta | int | None) -> timedelta | None:
    """A duration as a raw query gives it; SQLite gives microseconds."""
    return timedelta(microseconds=value) if isinstance(value, int) else value


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


def text_array(values: Sequence[str | None]) -> str:
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


def _documents(values: Sequence[Any]) -> str:
    return text_array([json.dumps(value) for value in values])


_ARRAYS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "bytea": list,
    "bigint": _plain,
    "integer": _plain,
    "smallint": _plain,
    "boolean": _plain,
    "text": text_array,
    "timestamptz": _times,
    "jsonb": _documents,
}


def _arrays(types: Sequence[str], rows: Sequence[Row]) -> list[Any]:
    """One for each column."""
    return [_ARRAYS[kind](column) for kind, column in zip(types, zip(*rows, strict=True), strict=True)]


def _numbered(statement: str) -> str:
    """With $1, $2 and so on for its values."""
    first, *others = statement.split("%s")
    return first + "".join(f"${place}{part}" for place, part in enumerate(others, 1))
