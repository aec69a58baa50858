"""Set-up refuses what can't work with a sentence, does nothing twice, and serves only what pages need."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ci_{name}", ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


prepare = _load("prepare")
rounds = _load("test")
VENDOR = ROOT / "static" / "vendor"


def _program(folder: Path, name: str, prints: str, code: int = 0) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho {prints}\nexit {code}\n")
    (folder / name).chmod(0o755)


# ── Python ────────────────────────────────────────────────────────────────────────────────────


def test_a_stamp_holds_for_the_same_content_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "ROOT", str(tmp_path))
    (tmp_path / "x.lock").write_text("a==1")
    stamp = str(tmp_path / "stamp")
    assert not prepare.is_stamped(stamp, prepare.digest("x.lock"))
    prepare.write_stamp(stamp, prepare.digest("x.lock"))
    assert prepare.is_stamped(stamp, prepare.digest("x.lock"))
    (tmp_path / "x.lock").write_text("a==2")
    assert not prepare.is_stamped(stamp, prepare.digest("x.lock"))


def test_an_old_python_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(prepare.SetupFailed, match=r"needs 3\.11 or newer\.\nInstall one, or name it"):
        prepare.new_enough_python()


def test_a_newer_python_beside_an_old_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setenv("PATH", str(tmp_path))
    _program(tmp_path, "python3.12", "Python 3.12")
    assert prepare.new_enough_python() == str(tmp_path / "python3.12")


def test_a_missing_venv_module_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path, "python3", "ensurepip is not available", code=1)
    monkeypatch.setattr(prepare, "VENV", str(tmp_path / "venv"))
    monkeypatch.setattr(prepare, "VENV_PYTHON", str(tmp_path / "venv" / "bin" / "python"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    with pytest.raises(prepare.SetupFailed, match="apt-get install python3-venv"):
        prepare.make_venv()
    assert not (tmp_path / "venv").exists()


def test_make_says_so_where_python_is_missing() -> None:
    done = subprocess.run(
        ["make", "run", "PYTHON=no-such-python"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "no-such-python is not on this machine: Mailweir needs Python 3.11" in done.stderr


# ── Front end ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("node", "npm", "is_taken"),
    [
        ("v20.1.0", "10.2.0", True),
        ("v20.1.0", "6.14.0", False),
        ("v12.0.0", "8.1.0", False),
        ("x", "y", False),
    ],
)
def test_the_machine_s_npm_is_taken_if_it_reads_our_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: str, npm: str, is_taken: bool
) -> None:
    _program(tmp_path, "node", node)
    _program(tmp_path, "npm", npm)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    assert (prepare.npm_of_the_machine() is not None) is is_taken


def test_a_machine_without_npm_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert prepare.npm_of_the_machine() is None


@pytest.mark.parametrize(
    "name",
    [
        "bootstrap.min.css",
        "bootstrap.bundle.min.js",
        "chart.umd.min.js",
        "htmx.min.js",
        "idiomorph-ext.min.js",
    ],
)
def test_served_files_are_there_and_name_no_source_map(name: str) -> None:
    text = (VENDOR / name).read_text(encoding="utf-8")
    assert len(text) > 5_000
    assert "sourceMappingURL" not in text


def test_icons_are_one_file_of_symbols_without_script() -> None:
    text = (VENDOR / "icons.svg").read_text(encoding="utf-8")
    assert {"envelope", "x-circle", "moon-stars"} <= set(re.findall(r'<symbol id="([\w-]+)"', text))
    assert "script" not in text
    assert "style=" not in text


def test_icons_that_pages_name_are_in_the_file() -> None:
    there = set(re.findall(r'<symbol id="([\w-]+)"', (VENDOR / "icons.svg").read_text(encoding="utf-8")))
    looks = (ROOT / "dashboard" / "templatetags" / "states.py").read_text(encoding="utf-8")
    used = set(re.findall(r'": \("([\w-]+)", "\w+", "', looks))
    for path in (ROOT / "templates").rglob("*.html"):
        used |= set(re.findall(r'{% icon "([\w-]+)" %}', path.read_text(encoding="utf-8")))
    assert len(used) > 5
    assert used <= there, "add them to ICONS in .ci/vendor.mjs"


def test_package_json_pins_exactly() -> None:
    package = (ROOT / "package.json").read_text(encoding="utf-8")
    versions = re.findall(r'^    "[\w.-]+": "([^"]*)"', package, re.MULTILINE)
    assert len(versions) >= 6
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is only in the wheel here")
def test_a_package_that_changed_its_layout_stops_the_copy(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "vendor.mjs", tmp_path / ".ci")
    done = subprocess.run(
        ["node", ".ci/vendor.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "bootstrap.min.css" in done.stderr


# ── The rounds of `make test` ─────────────────────────────────────────────────────────────────


def test_a_report_is_counted(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite tests="9" failures="1" errors="2" skipped="3"></testsuite></testsuites>'
    )
    assert rounds.counts(report) == (3, 3, 3)
    assert rounds.counts(tmp_path / "none.xml") == (0, 0, 0)


@pytest.mark.parametrize(("code", "is_good"), [(0, True), (5, True), (1, False), (2, False), (-9, False)])
def test_a_round_is_good_if_nothing_failed(code: int, is_good: bool) -> None:
    assert rounds.Result(rounds.ROUNDS[0], code, 1.0).is_good is is_good
