"""run.json: whose addresses stand in it, and when they are gone."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from queueapp import conf
from queueapp.conf import Address, Conf
from queueapp.workers import runfile


@pytest.fixture
def settings(tmp_path: Path) -> Conf:
    return replace(conf.current(), home=tmp_path)


@pytest.fixture
def other() -> Iterator[int]:
    """The pid of another process that is alive."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


def test_it_works(settings: Conf) -> None:
    runfile.write(
        settings, http=Address("0.0.0.0", 8000), smtp=Address("127.0.0.1", 25), sandbox=Address("::1", 1025)
    )
    assert json.loads(settings.run_file.read_text()) == {
        "http": "http://127.0.0.1:8000", "smtp": "127.0.0.1:25", "sandbox": "[::1]:1025",
        "route": "sandbox", "pid": os.getpid(), "ready": True,
    }  # fmt: skip
    assert runfile.read(settings)["smtp"] == "127.0.0.1:25"
    runfile.remove(settings)
    assert not settings.run_file.exists()


def test_what_a_dead_process_wrote_counts_as_nothing(settings: Conf) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    settings.run_file.write_text(json.dumps({"smtp": "127.0.0.1:25", "pid": gone.pid}))
    assert runfile.read(settings) == {}


@pytest.mark.parametrize("content", ["", "[]", '{"pid": "1"}', '{"pid": -1}', '{"pid": null}'])
def test_rubbish_counts_as_nothing(settings: Conf, content: str) -> None:
    settings.run_file.write_text(content)
    assert runfile.read(settings) == {}


def test_single_parts_share_it(settings: Conf, other: int) -> None:
    theirs = {"http": "http://127.0.0.1:1", "pid": other, "pids": {"http": other}, "ready": True}
    settings.run_file.write_text(json.dumps(theirs))
    runfile.add(settings, smtp=Address("127.0.0.1", 2))
    found = runfile.read(settings)
    assert (found["http"], found["smtp"]) == ("http://127.0.0.1:1", "127.0.0.1:2")
    runfile.remove(settings)
    assert runfile.read(settings) == theirs


def test_a_single_part_forgets_the_dead(settings: Conf) -> None:
    gone = {"http": "http://127.0.0.1:1", "pid": 2**22 + 1, "pids": {"http": 2**22 + 1}, "ready": True}
    settings.run_file.write_text(json.dumps(gone))
    runfile.add(settings, smtp=Address("127.0.0.1", 2))
    assert "http" not in runfile.read(settings)


def test_a_single_part_leaves_a_running_up_alone(settings: Conf, other: int) -> None:
    theirs = {"smtp": "127.0.0.1:1", "pid": other, "ready": True}
    settings.run_file.write_text(json.dumps(theirs))
    runfile.add(settings, smtp=Address("127.0.0.1", 2))
    assert runfile.read(settings) == theirs
    runfile.remove(settings)
    assert runfile.read(settings) == theirs
