"""The units in docs/systemd are what systemd understands, and start commands that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, page

FOLDER = ROOT / "docs" / "systemd"
UNITS = sorted(FOLDER.iterdir())
PLACE = "/opt/mailweir"


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_takes_it(unit: Path, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if not verify:
        pytest.skip("systemd-analyze is not installed")
    for each in UNITS:
        text = each.read_text().replace(f"{PLACE}/.venv/bin/python", sys.executable).replace(PLACE, str(ROOT))
        (tmp_path / each.name).write_text(text)
    name = unit.name.replace("@.", "@1.")
    done = subprocess.run(
        [verify, "verify", "--man=no", str(tmp_path / name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "mailweir" in line]
    assert not ours
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "unit", [path for path in UNITS if path.suffix == ".service"], ids=lambda path: path.name
)
def test_it_starts_a_command_that_there_is(unit: Path) -> None:
    commands = re.findall(r"^Exec\w+=.*manage\.py (\w+)", unit.read_text(), re.MULTILINE)
    assert commands
    for command in commands:
        if command != "migrate":
            assert (ROOT / f"queueapp/management/commands/{command}.py").exists()


def test_the_guide_names_every_unit() -> None:
    text = page("docs/operating.md").text
    assert [path.name for path in UNITS if path.name not in text] == []
