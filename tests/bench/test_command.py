"""`python -m bench` as a person runs it: small, ours alone, on SQLite."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.__main__ import names
from bench.scratch import place
from tests.docs.pages import page
from tests.processes import with_environment
from tests.system import ROOT

SMALL = ("--runs", "1", "--scale", "0.02", "--peers", "none", "--db", "sqlite")


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="mwt-", dir=place()))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    (folder / "scratch").mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env=dict(os.environ, BENCH_SCRATCH=str(folder / "scratch"), BENCH_RESULTS=str(folder / "results")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left_behind(folder: Path) -> set[int]:
    return with_environment("BENCH_SCRATCH", str(folder / "scratch"))


@pytest.mark.system
@pytest.mark.needs("smtp-sink")
def test_a_drain_is_measured_and_leaves_nothing(folder: Path) -> None:
    process = start(folder, "drain", *SMALL)
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 0, out
    [result] = (folder / "results").glob("drain-*.json")
    [run] = json.loads(result.read_text())["cases"][0]["systems"]["mailweir sqlite"]["runs"]
    assert (run["error"], run["lost"], run["repeated"]) == ("", 0, 0)
    assert run["rate"] > 0
    assert run["runner_mb"] > 10
    assert not left_behind(folder)
    assert not list((folder / "scratch").iterdir())


@pytest.mark.system
@pytest.mark.needs("smtp-sink")
def test_ctrl_c_leaves_nothing(folder: Path) -> None:
    process = start(folder, "drain", *SMALL)
    end = time.monotonic() + 60
    while not list((folder / "scratch").glob("*/h/run.json")):  # ours is up, and the sink is
        assert time.monotonic() < end, "the system did not come up"
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "nothing is left running" in out
    assert not left_behind(folder)
    assert not list((folder / "scratch").iterdir())


def test_a_wrong_name_is_told(folder: Path) -> None:
    process = start(folder, "dran")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "'dran'" in out
    assert "drain" in out


def test_every_benchmark_is_documented() -> None:
    text = page("docs/benchmarks.md").path.read_text()
    assert [name for name in names() if f"| `{name}` |" not in text] == []
