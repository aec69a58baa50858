from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import OperationalError

from queueapp.access import reply_rules
from queueapp.access.change import COMMAND
from queueapp.engine import own_lines
from queueapp.mail.classify import Table
from queueapp.mail.patterns import PATTERNS
from queueapp.management.commands import classify as command
from tests.management.calls import manage

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_lines() -> Iterator[None]:
    own_lines.forget()
    yield
    own_lines.forget()


def test_it_answers_a_line_with_a_line(tmp_path: Path) -> None:
    replies = tmp_path / "replies"
    replies.write_bytes(
        b"550 5.1.1 no such user\r\n\n250 2.0.0 OK\n450 4.7.1 greylisted, try again in 5 minutes"
    )
    done = manage("classify", str(replies))
    assert (done.code, done.err) == (0, "")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert rows[0] == {
        "class": "no_such_user", "permanent": True, "code": 550, "enhanced": "5.1.1", "rule": "code:5.1.1",
        "retry_in": None,
    }  # fmt: skip
    assert [row["class"] for row in rows] == ["no_such_user", "delivered", "greylisted"]
    assert rows[2]["retry_in"] == 300


def test_it_goes_on_behind_a_line_that_is_no_reply(tmp_path: Path) -> None:
    replies = tmp_path / "replies"
    replies.write_bytes(b"hello\n\xff\xfe\x00\n" + b"550 " + b"x" * 200_000 + b"\n550 5.1.1 no\n")
    done = manage("classify", str(replies))
    assert done.code == 1
    assert "Line 1: 'hello' is not an SMTP reply" in done.err
    assert "Line 2: " in done.err
    classes = [json.loads(line)["class"] for line in done.out.splitlines()]
    assert classes == [None, None, "other", "no_such_user"]


@pytest.mark.parametrize("name", ["missing", "."])
def test_it_says_that_a_file_can_not_be_read(tmp_path: Path, name: str) -> None:
    done = manage("classify", str(tmp_path / name))
    assert done.code == 1
    assert "can't be read" in done.err
    assert "Traceback" not in done.err


def test_it_needs_a_file() -> None:
    assert manage("classify").code == 2


def replies_in(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "replies"
    path.write_text("\n".join(lines))
    return str(path)


def test_it_judges_by_lines_of_your_own_too_unless_told_not_to(tmp_path: Path) -> None:
    line = reply_rules.Asked("night", "busy", ("closed for the night",), site="example.net")
    reply_rules.attempt(COMMAND, line)
    reply_rules.create(COMMAND, line, is_on=True)
    path = replies_in(tmp_path, "451 4.7.1 closed for the night")
    rules = [
        json.loads(manage("classify", path, *options).out)["rule"]
        for options in (["--host=mx.example.net"], [], ["--host=mx.example.net", "--shipped"])
    ]
    assert rules == ["own:night", "code:4.7.1", "code:4.7.1"]


def test_it_goes_on_with_the_shipped_lines_where_the_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError("no route to host\nand more")

    monkeypatch.setattr(own_lines, "look", away)
    done = manage("classify", replies_in(tmp_path, "550 5.1.1 no"))
    assert done.code == 0
    assert json.loads(done.out)["class"] == "no_such_user"
    assert "The database does not answer (no route to host)" in done.err


def test_it_reports_classes_with_counts_and_examples(tmp_path: Path) -> None:
    path = replies_in(
        tmp_path, "550 5.1.1 <ann@example.com>: unknown", "550 5.1.1 <bob@example.com>: unknown", "nonsense",
        "451 4.7.1 Greylisted, try again in 300 seconds", "452 4.2.2 over quota",
    )  # fmt: skip
    done = manage("classify", path, "--summary")
    assert done.code == 1
    assert "Line 3: 'nonsense' is not an SMTP reply" in done.err
    out = done.out
    assert out.startswith("4 replies\n")
    assert "no_such_user: 2 (50.0%, 2 permanent). The receiver does not know this address" in out
    assert "greylisted: 1 (25.0%)." in out
    assert "2  550 5.1.1 unknown" in out
    assert "2  code:5.1.1" in out


def test_it_tells_the_first_bad_lines_and_counts_the_rest(tmp_path: Path) -> None:
    done = manage("classify", replies_in(tmp_path, *["hello"] * 50))
    assert done.code == 1
    assert done.err.count("is not an SMTP reply") == 20
    assert "50 lines are no SMTP replies" in done.err
    assert len(done.out.splitlines()) == 50


def test_it_judges_varied_replies_quickly(tmp_path: Path) -> None:
    """All different, so that what was judged before is no help. A fifth of what docs/replies.md says, for
    slow and busy machines; measured by the processor's time."""
    lines = [f"{PATTERNS[n % len(PATTERNS)].example} id {n:x} u{n * 7}" for n in range(4_000)]
    path = replies_in(tmp_path, *lines)
    table = Table()
    start = time.process_time()
    for _, row, _ in command._found(path, table, "", ""):
        command.orjson.dumps(row)
    rate = len(lines) / (time.process_time() - start)
    assert table._verdict.cache_info().hits == 0
    assert rate > 4_000, f"{rate:.0f} replies a second"
