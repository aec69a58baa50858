"""What goes in by SMTP comes out byte for byte, on all mails of CPython's own e-mail tests."""

from __future__ import annotations

import importlib.util
import re
import smtplib
from pathlib import Path

import pytest

from queueapp.sandbox.archive import Archive
from tests.flows.settled import archive, until
from tests.system import System


def mails() -> list[Path]:
    found = importlib.util.find_spec("test.test_email") if importlib.util.find_spec("test") else None
    if found is None or not found.origin:
        return []
    return sorted((Path(found.origin).parent / "data").glob("*.txt"))


# Refused by the rules of SMTP itself, with the reply that says so.
REFUSED: dict[str, str] = {}

pytestmark = pytest.mark.skipif(not mails(), reason="this Python comes without its own test suite")


def as_sent(path: Path) -> bytes:
    """The file with the line ends of SMTP."""
    text = re.sub(rb"\r\n|\r|\n", b"\r\n", path.read_bytes())
    return text if text.endswith(b"\r\n") else text + b"\r\n"


def without_received(content: bytes) -> bytes:
    """A mail without the one Received field on top, folded lines and all."""
    assert content.startswith(b"Received: "), content[:80]
    return re.sub(rb"\AReceived: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", b"", content)


def test_every_mail_that_may_be_sent_arrives_byte_for_byte(system: System) -> None:
    refused: dict[str, str] = {}
    with smtplib.SMTP(*system.smtp_address) as client:
        for path in mails():
            try:
                client.sendmail("tests@python.test", [f"{path.stem}@byte.test"], as_sent(path))
            except smtplib.SMTPResponseException as error:
                refused[path.name] = f"{error.smtp_code} {error.smtp_error.decode()}"
    wanted = [path for path in mails() if path.name not in refused]
    book = archive(system)
    until(lambda: len(stored(book)) == len(wanted), 60, "not all mails arrived")
    found = stored(book)
    for path in wanted:
        assert without_received(found[f"{path.stem}@byte.test"]) == as_sent(path), path.name
    assert refused.keys() == REFUSED.keys(), refused
    print(f"{len(wanted)} of {len(mails())} arrived; refused: {refused}")


def stored(book: Archive) -> dict[str, bytes]:
    mails_there = book.list_mails(limit=500)
    return {mail.recipients[0]: full.content for mail in mails_there if (full := book.get(mail.id))}
