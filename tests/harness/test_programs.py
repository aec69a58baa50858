"""A test that needs a program of the machine says so: skipped with the reason, a failure with CI=true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import programs

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLE = """
import pytest

@pytest.mark.needs("sh")
def test_with_a_shell(program):
    assert program("sh").endswith("sh")

@pytest.mark.needs("sh", "no-such-mta")
def test_with_a_program_that_is_missing():
    raise AssertionError("it ran")
"""


def _run_sample(ci: str) -> subprocess.CompletedProcess[str]:
    folder = ROOT / "tests" / "harness"
    sample = folder / f"test_sample_{os.getpid()}.py"
    sample.write_text(SAMPLE)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST", "DJANGO", "MAILWEIR"))
    }
    try:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-rs", str(sample)],
            cwd=ROOT,
            env=environment | {"CI": ci},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        sample.unlink()


def test_it_skips_by_name_with_the_reason() -> None:
    done = _run_sample(ci="")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped" in done.stdout
    assert "no-such-mta is not installed (Debian package no-such-mta" in done.stdout


def test_it_fails_with_ci() -> None:
    done = _run_sample(ci="true")
    assert done.returncode == 1, done.stdout
    assert "with CI=true nothing is skipped: no-such-mta is not installed" in done.stdout


def test_it_finds_unpacked_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd-mta").write_text("#!/bin/sh\n")
    (tmp_path / "odd-mta").chmod(0o755)
    assert programs.find("odd-mta") is None
    monkeypatch.setattr(programs, "UNPACKED", tmp_path)
    assert programs.find("odd-mta") == str(tmp_path / "odd-mta")


def test_it_names_the_package_that_brings_a_program() -> None:
    assert "Debian package postfix" in programs.why_missing("smtp-source")


@pytest.mark.needs("smtp-source")
def test_smtp_source_starts() -> None:
    path = programs.find("smtp-source")
    assert path is not None
    done = subprocess.run([path], capture_output=True, text=True, timeout=20, check=False)
    assert "usage" in done.stderr
