from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from bench.scratch import NoDisk, filesystem_of, place, scratch


def test_the_folder_is_open_to_other_accounts_and_goes_in_the_end() -> None:
    before = tempfile.gettempdir()
    with scratch() as folder:
        (folder / "file").write_text("x")
        assert folder.stat().st_mode & 0o777 == 0o755
        assert tempfile.gettempdir() == str(folder)
        assert len(str(folder)) < 60
    assert not folder.exists()
    assert tempfile.gettempdir() == before


def test_the_place_is_on_a_disk() -> None:
    assert filesystem_of(place()) not in ("tmpfs", "ramfs")


def test_a_folder_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    if filesystem_of("/dev/shm") != "tmpfs":
        pytest.skip("/dev/shm is no tmpfs here")
    monkeypatch.setenv("BENCH_SCRATCH", "/dev/shm")
    with pytest.raises(NoDisk, match="/dev/shm"):
        place()


def test_a_folder_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_SCRATCH", str(tmp_path / "gone"))
    with pytest.raises(NoDisk, match="gone"):
        place()
