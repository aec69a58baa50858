from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.management.calls import manage


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
