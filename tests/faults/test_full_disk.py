"""The disk of the queue fills up: mail is refused with the code for it, what was accepted stays and
goes out, and when there is room again mail is taken again."""

from __future__ import annotations

import os
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.settled import archive, until
from tests.system import System

pytestmark = [
    pytest.mark.system,
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system"),
]
SIZE = "48m"
_MAIL = b"Subject: full\r\n\r\n" + (b"0123456789abcdef" * 4 + b"\r\n") * 8000


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], check=False)
    if done.returncode:
        pytest.skip("this machine lets nobody mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_refuses_mail_and_loses_none(home: Path) -> None:
    with System(home=home, settings={"MAILWEIR_SANDBOX_KEEP": "1", "MAILWEIR_RETRY_FIRST": "2s"}) as system:
        accepted, refusal = fill(system)
        assert refusal.smtp_code == 452, refusal
        assert b"4.3.1" in refusal.smtp_error
        (home / "ballast").unlink()
        until(lambda: take(system, "after@disk.test"), 30, "it does not take mail again")
        accepted.append("after@disk.test")
        until(
            lambda: {each.recipient for each in archive(system).receipts()} >= set(accepted),
            90,
            "what was accepted did not arrive",
        )


def fill(system: System) -> tuple[list[str], smtplib.SMTPResponseException]:
    """Send until the queue refuses; who was accepted, and the refusal."""
    (system.home / "ballast").write_bytes(b"x" * 20_000_000)
    accepted: list[str] = []
    for number in range(200):
        recipient = f"r{number}@disk.test"
        try:
            send(system, recipient)
        except smtplib.SMTPResponseException as error:
            return accepted, error
        accepted.append(recipient)
    raise AssertionError("200 large mails fit on a small disk")


def send(system: System, recipient: str) -> None:
    with smtplib.SMTP(*system.smtp_address, timeout=30) as client:
        client.sendmail("a@b.test", [recipient], _MAIL)


def take(system: System, recipient: str) -> bool:
    try:
        send(system, recipient)
    except smtplib.SMTPResponseException:
        return False
    return True
