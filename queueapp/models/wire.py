"""Several statements to PostgreSQL in one round trip, prepared once a connection: libpq's pipeline, bare.

psycopg's own pipeline goes through a cursor and a wait for each statement: for the small transactions of a
mail that costs more processor time than PostgreSQL needs to run them.

Promises: the statements run in order; where one fails none after it runs, its error is raised, and all of a
transaction that they are is undone. The connection is right for whoever uses it next, or closed.
Never: begins or ends a transaction that it was not asked to ("Pipeline Mode", libpq).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg import errors, generators
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

Statement = tuple[str, Sequence[Any]]
"""With $1, $2 and so on for its values: text as PostgreSQL reads it, or a list of octets for a bytea[]."""
BEGIN: Statement = ("BEGIN", ())
COMMIT: Statement = ("COMMIT", ())
_BYTEA = 17
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE, ExecStatus.PIPELINE_ABORTED)


class _Prepared:
    """The statements that a connection knows, by their text. A name is never used twice: which of those that
    went with one that failed were prepared is not worth finding out."""

    def __init__(self) -> None:
        self.names: dict[str, bytes] = {}
        self.n = 0

    def new_name(self) -> bytes:
        self.n += 1
        return b"mw_%d" % self.n


_prepared: WeakKeyDictionary[psycopg.Connection[Any], _Prepared] = WeakKeyDictionary()


def exchange(raw: psycopg.Connection[Any], statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
    """The rows of each statement. Raises psycopg.Error."""
    prepared = _prepared.get(raw) or _prepared.setdefault(raw, _Prepared())
    with raw.lock:
        fresh: dict[str, bytes] = {}
        try:
            _send(raw.pgconn, statements, prepared, fresh)
            results = raw.wait(_answers(raw.pgconn))
            raw.pgconn.exit_pipeline_mode()
        except BaseException:
            # In the middle of a pipeline it is of no use to anybody.
            raw.close()
            raise
    for result in results:
        if result.status in _FAILED:
            raise errors.error_from_result(result)
    prepared.names.update(fresh)
    # A statement's own preparation is answered without a command's name.
    return [_rows(raw, result) for result in results if result.command_status]


def _send(
    pgconn: PGconn, statements: Sequence[Statement], prepared: _Prepared, fresh: dict[str, bytes]
) -> None:
    """Into libpq's buffer."""
    pgconn.enter_pipeline_mode()
    for text, values in statements:
        name = prepared.names.get(text) or fresh.get(text)
        if name is None:
            name = fresh[text] = prepared.new_name()
            pgconn.send_prepare(name, text.encode())
        pgconn.send_query_prepared(
            name, [_octets(each) for each in values], [_format(each) for each in values]
        )
    pgconn.pipeline_sync()


def _answers(pgconn: PGconn) -> PQGen[list[PGresult]]:
    """Send what is in the buffer, reading meanwhile, and take all results."""
    while pgconn.flush():
        ready = yield Wait.RW
        if ready & Ready.R:
            pgconn.consume_input()
    results: list[PGresult] = []
    while True:
        some = yield from generators.fetch_many(pgconn)
        if some and some[0].status == ExecStatus.PIPELINE_SYNC:
            return results
        results += some


def _rows(raw: psycopg.Connection[Any], result: PGresult) -> list[tuple[Any, ...]]:
    if result.status != ExecStatus.TUPLES_OK or not result.ntuples:
        return []
    transformer = Transformer(raw)
    transformer.set_pgresult(result)
    return transformer.load_rows(0, result.ntuples, tuple)


def _format(value: Any) -> int:
    return int(isinstance(value, list))


def _octets(value: Any) -> bytes | None:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return _octet_array(value)
    return None if value is None else str(value).encode()


def _octet_array(values: list[bytes | None]) -> bytes:
    """A bytea[] in binary: as text it would be twice as long, and read octet by octet (array_recv)."""
    parts = [struct.pack("!iiiii", 1, None in values, _BYTEA, len(values), 1)]
    for value in values:
        parts += [b"\xff\xff\xff\xff"] if value is None else [struct.pack("!i", len(value)), value]
    return b"".join(parts)
