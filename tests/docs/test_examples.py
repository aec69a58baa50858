"""Every shell block of our documents runs against a real system, or says why it can't.

Blocks run in the order of the page, each in a shell of its own, in the project's folder. `python` is
the Python of these tests, the default addresses become those of the system under test, and a minute
of traffic becomes three seconds.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, page, pages
from tests.flows.settled import archive, key, until
from tests.system import System

pytestmark = [pytest.mark.system, pytest.mark.once]
SHELL = [block for document in pages() for block in document.blocks if block.language == "sh"]
RUN = [block for block in SHELL if not block.not_run]
DJANGO = [block for block in page("README.md").blocks if block.language == "python"]
# Whoever stands so in a block that is run gets a mail by it.
_RECIPIENT = re.compile(r"(?<![\w+.-])\w+@example\.net")


@pytest.fixture(scope="module")
def shell(system: System, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a reader who has activated .venv."""
    folder = tmp_path_factory.mktemp("bin")
    # Not a link: through one, Python would not find the packages of its environment.
    (folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "python").chmod(0o755)
    return {**system.env, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def _here(block: Block, system: System) -> str:
    text = block.text.replace("http://127.0.0.1:8000", system.http)
    text = text.replace("127.0.0.1:2525", system.smtp).replace("127.0.0.1:1025", system.sandbox)
    return text.replace("--for 60", "--for 3")


@pytest.mark.parametrize("block", RUN, ids=str)
def test_it_runs(block: Block, system: System, shell: dict[str, str], program: Callable[[str], str]) -> None:
    for name in ("swaks", "curl"):
        if f"{name} " in block.text:
            program(name)
    recipients = set(_RECIPIENT.findall(block.text))
    before = {each: arrived(system, each) for each in recipients}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", _here(block, system)],
        cwd=ROOT, env=shell, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{block}\n{block.text}\n{done.stdout}\n{done.stderr}"
    assert '"error"' not in done.stdout, f"{block}\n{done.stdout}"
    for each in recipients:
        _await_more(system, each, before[each])


def _await_more(system: System, recipient: str, n: int) -> None:
    until(lambda: arrived(system, recipient) > n, 30, f"nothing came for {recipient}")


def arrived(system: System, recipient: str) -> int:
    return len(archive(system).receipts(recipient=recipient))


@pytest.mark.parametrize("block", DJANGO, ids=str)
def test_its_django_settings_send_mail(block: Block, system: System, tmp_path: Path) -> None:
    recipient = f"line{block.line}@django.example"
    text = block.text.replace("http://127.0.0.1:8000", system.http).replace("mw_YOUR-KEY", key(system))
    (tmp_path / "shop_settings.py").write_text("SECRET_KEY = 'x'\nUSE_TZ = True\n" + text)
    script = textwrap.dedent(f"""
        import django; django.setup()
        from django.core.mail import send_mail
        assert send_mail("Hello", "text", "shop@example.com", ["{recipient}"]) == 1
    """)
    env = {
        **system.env,
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "DJANGO_SETTINGS_MODULE": "shop_settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    _await_more(system, recipient, 0)


def test_what_is_not_run_says_why() -> None:
    assert [str(block) for block in SHELL if block.not_run and len(block.not_run) < 10] == []


def test_the_readme_is_mostly_run() -> None:
    ours = [block for block in SHELL if block.page == "README.md"]
    assert len([block for block in ours if not block.not_run]) > len(ours) / 2
