"""Programs of the machine that tests talk to: real peers such as swaks and Postfix's smtp-source.

`find` looks on PATH and then under .venv/debian/bin, where `make test` unpacks those that can't be
installed beside one another. A test names what it needs with `@pytest.mark.needs("swaks")`; where a
program is missing the test is skipped with the reason, and with CI=true it fails.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNPACKED = ROOT / ".venv" / "debian" / "bin"

# Debian's package for a program, where the two names differ.
PACKAGES = {
    "smtp-source": "postfix", "smtp-sink": "postfix", "exim4": "exim4-daemon-light", "ip": "iproute2",
    "promtool": "prometheus",
}  # fmt: skip


def find(program: str) -> str | None:
    """The program's path, or None where this machine hasn't got it."""
    return shutil.which(program) or shutil.which(program, path=str(UNPACKED))


def why_missing(program: str) -> str:
    package = PACKAGES.get(program, program)
    return (
        f"{program} is not installed (Debian package {package}; `make test` brings it where the user is root)"
    )


def is_ci() -> bool:
    return os.environ.get("CI", "").lower() == "true"
