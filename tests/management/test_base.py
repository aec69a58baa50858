"""What all commands promise when the world is not as it should be: real processes, one line, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system import ROOT

AWAY = "postgres://nobody@127.0.0.1:9/nothing"
MAIL = b"Subject: x\n\nx\n"


def run(home: Path, *arguments: str, stdin: bytes = b"", **settings: str) -> tuple[int, str, str]:
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**keep, "MAILWEIR_HOME": str(home), **settings},
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("queue", "count"), 1),
        (("queue", "list", "--json"), 1),
        (("apikey", "create", "shop"), 1),
        (("prune",), 1),
    ],
)
def test_it_tells_in_one_line_that_the_database_is_away(
    tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    got, out, err = run(tmp_path, *arguments, DATABASE_URL=AWAY)
    assert (got, out) == (code, "")
    assert "database" in err
    assert "Traceback" not in err
    assert AWAY not in err
    assert len(err.splitlines()) == 1, err


def test_it_tells_a_program_that_sends_mail_to_try_later(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "sendmail", "bob@example.net", stdin=MAIL, DATABASE_URL=AWAY)
    assert (code, out) == (75, "")
    assert err.splitlines()[-1].startswith("Refused: 451 4.3.0 ")
    assert "Traceback" not in err


def test_it_says_that_the_tables_are_missing(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "queue", "count")
    assert (code, out) == (1, "")
    assert "manage.py migrate" in err
    assert len(err.splitlines()) == 1


def test_it_does_not_mind_a_reader_that_has_enough(tmp_path: Path) -> None:
    replies = tmp_path / "replies"
    replies.write_text("550 5.1.1 no such user\n" * 20_000)
    process = subprocess.Popen(
        [sys.executable, "manage.py", "classify", "--shipped", str(replies)],
        cwd=ROOT,
        env={**os.environ, "MAILWEIR_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b'{"class"')
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(30) == 0
    assert err == b""
    process.stderr.close()
