"""What goes in by SMTP comes out byte for byte, on all mails of CPython's own e-mail tests.

What may differ is told exactly: our Received field on top; below it a Message-ID and a Date where the
mail has none; Bcc fields, which are taken out; an empty line ahead of a text that would look folded.
"""

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
BLIND = (b"bcc", b"resent-bcc")

pytestmark = [
    pytest.mark.skipif(not mails(), reason="this Python comes without its own test suite"),
]


def as_sent(path: Path) -> bytes:
    """The file with the line ends of SMTP."""
    text = re.sub(rb"\r\n|\r|\n", b"\r\n", path.read_bytes())
    return text if text.endswith(b"\r\n") else text + b"\r\n"


def without_received(content: bytes) -> bytes:
    """A mail without the one Received field on top, folded lines and all."""
    assert content.startswith(b"Received: "), content[:80]
    return re.sub(rb"\AReceived: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", b"", content)


def has(mail: bytes, name: bytes) -> bool:
    """Whether a field of that name stands before the first empty line."""
    head = (b"\r\n" + mail).partition(b"\r\n\r\n")[0]
    return any(
        line.partition(b":")[0].strip().lower() == name for line in head.split(b"\r\n") if b":" in line
    )


def without_added(content: bytes, original: bytes) -> bytes:
    """The mail without what had to be put on top of this original, which must be there."""
    rest = without_received(content)
    for name, value in (
        (b"Message-ID", rb"<[0-9a-f]{32}@[^\r\n<>@ ]+>"),
        (b"Date", rb"\w{3}, \d\d? \w{3} \d{4} [\d:]{8} \+0000"),
    ):
        if not has(original, name.lower()):
            found = re.match(name + rb": " + value + rb"\r\n", rest)
            assert found, (name, rest[:200])
            rest = rest[found.end() :]
    return rest


def as_it_may_leave(original: bytes) -> bytes:
    if original[:1] in (b" ", b"\t"):
        return b"\r\n" + original
    lines, kept, is_blind, is_header = original.splitlines(keepends=True), [], False, True
    for line in lines:
        is_header = is_header and line != b"\r\n"
        is_blind = is_header and (
            is_blind if line[:1] in (b" ", b"\t") else line.partition(b":")[0].strip().lower() in BLIND
        )
        if not is_blind:
            kept.append(line)
    return b"".join(kept)


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
    n_changed = 0
    for path in wanted:
        original = as_sent(path)
        left = without_added(found[f"{path.stem}@byte.test"], original)
        assert left == as_it_may_leave(original), path.name
        n_changed += left != original
    assert n_changed <= 2, "nearly all of them are whole mails"
    assert refused.keys() == REFUSED.keys(), refused
    print(f"{len(wanted)} of {len(mails())} arrived; refused: {refused}")


def stored(book: Archive) -> dict[str, bytes]:
    mails_there = book.list_mails(limit=500)
    return {mail.recipients[0]: full.content for mail in mails_there if (full := book.get(mail.id))}
