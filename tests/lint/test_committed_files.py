"""The check of committed files finds download addresses and private paths, and nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.lint.committed_files import committed, lock_addresses, machine_paths, problems

HERE = "/srv/copies/mailweir/"


def _npm(**entry: object) -> str:
    return json.dumps({"packages": {"": {}, "node_modules/x": {"version": "1.0.0", **entry}}})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.lock", "--index-url https://packages.example/simple\nx==1"),
        ("requirements.lock", "--extra-index-url=//packages.example\n"),
        ("requirements.lock", "x @ https://packages.example/x-1.whl"),
        ("package-lock.json", _npm(resolved="https://packages.example/x-1.tgz")),
        ("package-lock.json", _npm(resolved="x-1.tgz")),
        ("package-lock.json", _npm(version="git+ssh://git@example/x.git")),
    ],
)
def test_it_finds_download_addresses(name: str, text: str) -> None:
    assert list(lock_addresses(name, text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.lock", "x==1 \\\n    --hash=sha256:00"),
        ("package-lock.json", _npm(integrity="sha512-AA//BB==")),
        ("package-lock.json", _npm(funding={"url": "https://thanks.example"})),
        ("README.md", "See https://docs.example"),
    ],
)
def test_it_allows_versions_and_hashes(name: str, text: str) -> None:
    assert list(lock_addresses(name, text)) == []


@pytest.mark.parametrize("path", [f"{HERE}queueapp/x.py", "/ro" + "ot/.cache/x", "/ho" + "me/kim/mail"])
def test_it_finds_paths_of_a_machine(path: str) -> None:
    assert list(machine_paths("a.py", f'x = "{path}"', HERE)) == ["a.py:1: names a path of one machine"]


@pytest.mark.parametrize("text", ["/usr/lib/postgresql", "/root", "~/x", "/home/mailweir/var", "GET /home"])
def test_it_allows_paths_that_every_machine_has(text: str) -> None:
    assert list(machine_paths("a.py", text, HERE)) == []


def test_it_looks_at_new_files_but_not_at_ignored_ones(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("var/\n")
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "x").write_text("x")
    (tmp_path / "new.lock").write_text("x @ https://packages.example/x\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\x00")
    assert committed(tmp_path) == [".gitignore", "new.lock", "picture.png"]
    assert [line.split(":")[0] for line in problems(tmp_path)] == ["new.lock"]


def test_this_project_is_clean() -> None:
    assert list(problems()) == []
