"""The sandbox's record: what it took and what it refused, in an SQLite file of its own.

One writer thread per process commits what has gathered while its last commit ran (group commit):
`keep` returns a future that is done when the rows are written, and only then may the client be told
250. Any process reads through archive.py while this one writes.
Bounds: a receipt for each accepted recipient up to 1,000,000; content of the newest `keep_mails`
mails and at most `keep_octets` in all. Totals and tallies of refusals go on beyond that.
Failure: rows that can't be written (disk full) fail their futures with the database's error; the
thread goes on. After a crash of the machine the last moments may be missing (synchronous=NORMAL):
this is a record for tests, not the queue.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import zlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from queueapp.sandbox.peek import peek
from queueapp.sandbox.schema import MAX_RECEIPTS, open_for_writing

_PRUNE_EVERY = 5_000  # receipts between looks at their bound
_COMPRESS_FROM = 4_096  # octets: less isn't worth the time
_BUSY = 16  # mails in a batch from which on speed goes before compression
_CHUNKS = (64, 16, 4, 1)  # rows in one INSERT; few sizes, so that statements stay prepared

_RECEIPT = "INSERT INTO receipt (at, sender, recipient, message_id, size, scenario, mail_id) VALUES "
_MAIL = (
    "INSERT INTO mail (id, at, sender, recipients, client, helo, tls, size, subject, message_id,"
    " is_compressed, content) VALUES "
)


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that was accepted, with the scenario of each recipient."""

    at: float
    sender: str
    recipients: tuple[str, ...]
    scenarios: tuple[str, ...]
    content: bytes
    client: str = ""
    helo: str = ""
    tls: str = ""


T = TypeVar("T")
_Waiting = tuple[Taken, Callable[[int], Any], asyncio.Future[Any]]
_Refusal = tuple[str, int, str]  # scenario, code, enhanced


class Store:
    """Writes the record. Use from one event loop; `close` waits for the last commit."""

    def __init__(self, path: Path, *, keep_mails: int = 2000, keep_octets: int = 200_000_000) -> None:
        self.path = path
        self._keep_mails, self._keep_octets = keep_mails, keep_octets
        self._connection = open_for_writing(path)
        self._kept: deque[tuple[int, int]] = deque()  # id and stored octets, oldest first
        self._kept_octets = 0
        self._load()
        self._n_unpruned = 0
        self._gathered: list[_Waiting] = []
        self._waiting: list[_Waiting] = []
        self._refusals: Counter[_Refusal] = Counter()
        self._wake = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="sandbox-store", daemon=True)
        self._thread.start()

    def keep(self, mail: Taken, answer: Callable[[int], T]) -> asyncio.Future[T]:
        """Store a mail and the receipts of its recipients; once committed, gives `answer(its id)`."""
        if self._is_closing:
            raise RuntimeError("the sandbox's store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if not self._gathered:
            loop.call_soon(self._hand_over)
        self._gathered.append((mail, answer, future))
        return future

    def _hand_over(self) -> None:
        """Once a turn of the loop: what all its sockets brought makes one commit, not many small ones."""
        with self._wake:
            self._waiting += self._gathered
            self._wake.notify()
        self._gathered = []

    def refuse(self, scenario: str, code: int, enhanced: str) -> None:
        """Count a refusal (code 0: dropped without a reply). Written soon, nobody waits for it."""
        with self._wake:
            self._refusals[scenario, code, enhanced] += 1
            self._wake.notify()

    def close(self) -> None:
        """Write what was handed over, then end. Call when no `keep` is awaited any more."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        self._thread.join()
        self._connection.close()

    # -- the writer thread --------------------------------------------------------------------

    def _load(self) -> None:
        row = self._connection.execute(
            "SELECT max(coalesce((SELECT max(id) FROM mail), 0), coalesce((SELECT max(mail_id) FROM receipt"
            " WHERE id = (SELECT max(id) FROM receipt)), 0))"
        ).fetchone()
        self._last_id: int = row[0]
        for kept in self._connection.execute("SELECT id, length(content) FROM mail ORDER BY id"):
            self._kept.append(kept)
            self._kept_octets += kept[1]

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._waiting or self._refusals or self._is_closing):
                    self._wake.wait()
                batch, self._waiting = self._waiting, []
                refusals, self._refusals = self._refusals, Counter()
                is_last = self._is_closing
            if batch or refusals:
                error = self._commit([mail for mail, _, _ in batch], refusals)
                self._settle(batch, error)
            if is_last:
                return

    def _commit(self, mails: list[Taken], refusals: Counter[_Refusal]) -> Exception | None:
        run = self._connection.execute
        before = self._last_id
        try:
            run("BEGIN IMMEDIATE")
            self._write(mails, refusals)
            run("COMMIT")
        except Exception as error:
            if self._connection.in_transaction:
                run("ROLLBACK")
            self._last_id = before
            return error
        return None

    def _settle(self, batch: list[_Waiting], error: Exception | None) -> None:
        if not batch:
            return
        first_id = self._last_id - len(batch) + 1
        try:
            batch[0][2].get_loop().call_soon_threadsafe(_resolve, batch, first_id, error)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more

    def _write(self, mails: list[Taken], refusals: Counter[_Refusal]) -> None:
        receipts: list[tuple[Any, ...]] = []
        first_kept = max(0, len(mails) - self._keep_mails)
        rows: list[tuple[Any, ...]] = []
        for n, mail in enumerate(mails):
            self._last_id += 1
            message_id, subject = peek(mail.content)
            size = len(mail.content)
            for recipient, scenario in zip(mail.recipients, mail.scenarios, strict=True):
                receipts.append((mail.at, mail.sender, recipient, message_id, size, scenario, self._last_id))
            if n >= first_kept:
                is_compressed, stored = _pack(mail.content, is_busy=len(mails) >= _BUSY)
                head = (self._last_id, mail.at, mail.sender, "\n".join(mail.recipients), mail.client)
                rows.append((*head, mail.helo, mail.tls, size, subject, message_id, is_compressed, stored))
        _insert(self._connection.execute, _RECEIPT, receipts)
        _insert(self._connection.execute, _MAIL, rows)
        self._tally(len(mails), len(receipts), refusals)
        self._prune_mails([(row[0], len(row[-1])) for row in rows])
        self._prune_receipts(len(receipts))

    def _tally(self, n_mails: int, n_recipients: int, refusals: Counter[_Refusal]) -> None:
        run = self._connection.execute
        for name, n in (("mails", n_mails), ("recipients", n_recipients)):
            if n:
                run("INSERT INTO total VALUES (?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n", (name, n))
        for (scenario, code, enhanced), n in refusals.items():
            run(
                "INSERT INTO refusal VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
                (scenario, code, enhanced, n),
            )

    def _prune_mails(self, added: Sequence[tuple[int, int]]) -> None:
        self._kept.extend(added)
        self._kept_octets += sum(size for _, size in added)
        last_gone = 0
        while len(self._kept) > self._keep_mails or self._kept_octets > self._keep_octets:
            last_gone, size = self._kept.popleft()
            self._kept_octets -= size
        if last_gone:
            self._connection.execute("DELETE FROM mail WHERE id <= ?", (last_gone,))

    def _prune_receipts(self, n_added: int) -> None:
        self._n_unpruned += n_added
        if self._n_unpruned >= _PRUNE_EVERY:
            self._n_unpruned = 0
            self._connection.execute(
                "DELETE FROM receipt WHERE id <= (SELECT max(id) FROM receipt) - ?", (MAX_RECEIPTS,)
            )


def _insert(run: Callable[..., Any], statement: str, rows: list[tuple[Any, ...]]) -> None:
    """Many rows a statement: the interpreter's lock is given up once for all of them, not for each."""
    at = 0
    for size in _CHUNKS:
        while len(rows) - at >= size:
            part = rows[at : at + size]
            marks = "(" + ",".join("?" * len(part[0])) + ")"
            run(statement + ",".join([marks] * size), [value for row in part for value in row])
            at += size


def _pack(content: bytes, *, is_busy: bool) -> tuple[int, bytes]:
    if is_busy or len(content) < _COMPRESS_FROM:
        return 0, content
    packed = zlib.compress(content, 1)
    return (1, packed) if len(packed) < len(content) * 0.9 else (0, content)


def _resolve(batch: list[_Waiting], first_id: int, error: Exception | None) -> None:
    for mail_id, (_, answer, future) in enumerate(batch, first_id):
        if future.done():
            continue
        if error is None:
            future.set_result(answer(mail_id))
        else:
            future.set_exception(sqlite3.DatabaseError(str(error)))
