"""The record: what was committed can be read elsewhere, stays bounded, and counts right."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from queueapp.sandbox import store as store_module
from queueapp.sandbox.archive import Archive, Counts, Refusal
from queueapp.sandbox.schema import _TABLES, FILE_NAME
from queueapp.sandbox.store import Store, Taken


def taken(n: int = 1, *recipients: str, content: bytes = b"", at: float = 1000.0) -> Taken:
    to = recipients or ("b@y.test",)
    head = b"Subject: mail %d\r\nMessage-ID: <%d@x.test>\r\n\r\n" % (n, n)
    return Taken(at + n, "a@x.test", to, ("",) * len(to), head + (content or b"x\r\n"), "127.0.0.1", "helo")


def keep(path: Path, *mails: Taken, **limits: int) -> list[int]:
    async def main() -> list[int]:
        store = Store(path, **limits)
        try:
            return list(await asyncio.gather(*(store.keep(mail, int) for mail in mails)))
        finally:
            store.close()

    return asyncio.run(main())


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / FILE_NAME


def test_it_works(path: Path) -> None:
    assert keep(path, taken(1, "b@y.test", "c@y.test"), taken(2)) == [1, 2]
    archive = Archive.in_home(path.parent)
    assert archive.counts() == Counts(recipients=3, mails=2)
    assert [mail.id for mail in archive.list_mails()] == [2, 1]
    mail = archive.get(1)
    assert mail is not None
    assert mail.content == taken(1).content
    assert (mail.subject, mail.message_id, mail.size) == ("mail 1", "<1@x.test>", len(mail.content))
    assert (mail.sender, mail.recipients) == ("a@x.test", ("b@y.test", "c@y.test"))
    assert (mail.at, mail.client, mail.helo, mail.tls) == (1001.0, "127.0.0.1", "helo", "")
    assert [receipt.recipient for receipt in archive.receipts(message_id="<1@x.test>")] == [
        "b@y.test",
        "c@y.test",
    ]


def test_it_reads_an_empty_record_where_there_is_no_file(path: Path) -> None:
    archive = Archive(path)
    assert archive.counts() == Counts()
    assert archive.list_mails() == archive.receipts() == []
    assert archive.get(1) is None
    archive.clear()
    assert not path.exists()


def test_it_is_read_by_another_process_while_it_is_written(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from queueapp.sandbox.archive import Archive;"
        "a = Archive(Path(sys.argv[1])); print(a.counts().mails, a.get(1).subject)"
    )

    async def main() -> str:
        store = Store(path)
        await store.keep(taken(1), int)
        command = [sys.executable, "-c", script, str(path)]
        found = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30)
        store.close()
        return found.stdout + found.stderr

    assert asyncio.run(main()) == "1 mail 1\n"


def test_it_finds_mails(path: Path) -> None:
    keep(path, *(taken(n, f"u{n}@y.test") for n in range(1, 8)), taken(8, "100%_sure@y.test"))
    archive = Archive(path)
    assert [mail.id for mail in archive.list_mails(3)] == [8, 7, 6]
    assert [mail.id for mail in archive.list_mails(3, before=6)] == [5, 4, 3]
    assert [mail.id for mail in archive.list_mails(query="U5@")] == [5]
    assert [mail.id for mail in archive.list_mails(query="mail 3")] == [3]
    assert [mail.id for mail in archive.list_mails(query="%_s")] == [8]
    assert archive.list_mails(query="' OR 1=1 --") == []
    assert len(archive.list_mails(limit=-5)) == 1


def test_it_counts_repeats(path: Path) -> None:
    keep(path, taken(1, "b@y.test", "c@y.test"), taken(1, "b@y.test"), taken(2))
    archive = Archive(path)
    assert archive.count_by_message_id() == {"<1@x.test>": 3, "<2@x.test>": 1}
    assert archive.repeats() == {("<1@x.test>", "b@y.test"): 2}
    assert len(archive.receipts(message_id="<1@x.test>", recipient="b@y.test")) == 2
    assert [receipt.mail_id for receipt in archive.receipts(after=2)] == [2, 3]


def test_it_tallies_refusals(path: Path) -> None:
    async def main() -> None:
        store = Store(path)
        for _ in range(3):
            store.refuse("defer", 451, "4.3.0")
        store.refuse("drop", 0, "")
        await asyncio.to_thread(wait_until, lambda: Archive(path).counts().refused == 4)
        store.refuse("defer", 451, "4.3.0")
        store.close()

    asyncio.run(main())
    counts = Archive(path).counts()
    assert sorted(counts.refusals, key=lambda each: each.n) == [
        Refusal("drop", 0, "", 1),
        Refusal("defer", 451, "4.3.0", 4),
    ]
    assert counts.refused == 5


def test_it_keeps_the_newest_mails_and_every_receipt(path: Path) -> None:
    keep(path, *(taken(n) for n in range(1, 31)), keep_mails=10)
    keep(path, *(taken(n) for n in range(31, 36)), keep_mails=10)
    archive = Archive(path)
    assert [mail.id for mail in archive.list_mails()] == list(range(35, 25, -1))
    assert archive.get(25) is None
    assert len(archive.receipts()) == 35
    assert archive.counts() == Counts(recipients=35, mails=35)


def test_it_keeps_no_more_octets_than_it_may(path: Path) -> None:
    noise = bytes(range(256)) * 40
    keep(path, *(taken(n, content=noise) for n in range(1, 41)), keep_octets=100_000)
    assert len(Archive(path).list_mails()) == 9


def test_it_bounds_receipts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_RECEIPTS", 50)
    monkeypatch.setattr(store_module, "_PRUNE_EVERY", 10)

    async def main() -> None:
        store = Store(path)
        for n in range(20):
            await store.keep(taken(n, *(f"u{m}@y.test" for m in range(10))), int)
        store.close()

    asyncio.run(main())
    archive = Archive(path)
    assert [receipt.id for receipt in archive.receipts()] == list(range(151, 201))
    assert archive.counts().recipients == 200


def test_it_compresses_what_shrinks_and_gives_it_back(path: Path) -> None:
    text, noise = b"the same again\r\n" * 1000, Random(1).randbytes(20_000)
    keep(path, taken(1, content=text), taken(2, content=noise))
    stored = sqlite3.connect(path).execute("SELECT is_compressed, length(content) FROM mail").fetchall()
    assert stored[0][0] == 1
    assert stored[0][1] < 1000
    assert stored[1][0] == 0
    contents = [Archive(path).get(n) for n in (1, 2)]
    assert [mail.content.partition(b"\r\n\r\n")[2] for mail in contents if mail] == [text, noise]


def test_it_is_cleared_while_a_sandbox_writes(path: Path) -> None:
    archive = Archive(path)

    async def main() -> None:
        store = Store(path, keep_mails=5)
        for n in range(8):
            await store.keep(taken(n), int)
        archive.clear()
        assert archive.counts() == Counts()
        assert archive.receipts() == []
        for n in range(8):
            await store.keep(taken(n), int)
        store.close()

    asyncio.run(main())
    assert archive.counts() == Counts(recipients=8, mails=8)
    assert len(archive.list_mails()) == 5


def test_it_counts_on_after_a_restart(path: Path) -> None:
    assert keep(path, taken(1), taken(2)) == [1, 2]
    assert keep(path, taken(3)) == [3]
    assert Archive(path).counts() == Counts(recipients=3, mails=3)


def test_it_moves_a_broken_file_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not a database at all, whatever its name says" * 100)
    keep(path, taken(1))
    assert Archive(path).counts().mails == 1
    assert path.with_name(path.name + ".broken").exists()


def test_it_fails_the_mail_that_cannot_be_written_and_goes_on(path: Path) -> None:
    async def main() -> None:
        store = Store(path)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("DROP TABLE receipt")
        with pytest.raises(sqlite3.DatabaseError, match="receipt"):
            await store.keep(taken(1), int)
        other.executescript(_TABLES)
        assert await store.keep(taken(2), int) == 1
        store.close()

    asyncio.run(main())
    assert [mail.subject for mail in Archive(path).list_mails()] == ["mail 2"]
    assert Archive(path).counts() == Counts(recipients=1, mails=1)


def test_it_takes_no_mail_after_it_is_closed(path: Path) -> None:
    async def main() -> None:
        store = Store(path)
        store.close()
        with pytest.raises(RuntimeError, match="closed"):
            store.keep(taken(1), int)

    asyncio.run(main())
