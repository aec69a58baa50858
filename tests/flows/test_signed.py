"""A mail through the running system arrives with signatures that another program verifies.

The records are those that `manage.py dkim` printed, read as a name server would read them.
"""

from __future__ import annotations

import smtplib

import dkim as verifier
import dns.rdata
import pytest

from tests.flows.settled import archive, until
from tests.system import System

pytestmark = pytest.mark.system
MAIL = (
    "From: Änn <ann@shop.example.com>\r\nTo: bob@example.net\r\nBcc: eve@example.net\r\n"
    "Subject: a subject\r\n that is folded\r\n\r\n.a dot\r\n\ttab  and  ends \t\r\ngrün\r\n\r\n\r\n"
).encode()


def records(printed: str) -> dict[bytes, bytes]:
    """Name to value, from lines of a zone file."""
    found = {}
    for line in printed.splitlines():
        name, _, rest = line.partition(" IN TXT ")
        found[name.encode()] = b"".join(dns.rdata.from_text("IN", "TXT", rest).strings)
    return found


def test_it_arrives_with_signatures_that_verify(system: System) -> None:
    printed = system.manage("dkim", "create", "example.com", "--type", "both", "--activate").stdout
    zone = records(printed)
    assert len(zone) == 2
    with smtplib.SMTP(*system.smtp_address) as client:
        client.sendmail("ann@example.com", ["bob@signed.test"], MAIL, ["BODY=8BITMIME"])
    book = archive(system)
    until(lambda: len(book.list_mails()) == 1, 30, "the mail did not arrive")
    found = book.get(book.list_mails()[0].id)
    assert found
    mail = found.content
    for index in range(2):
        asked: list[bytes] = []

        def published(name: bytes, timeout: int = 5, asked: list[bytes] = asked) -> bytes | None:
            asked.append(name)
            return zone.get(name)

        assert verifier.DKIM(mail).verify(idx=index, dnsfunc=published), mail.decode()
        assert asked
    assert b"Bcc" not in mail
    assert mail.endswith(MAIL.partition(b"Bcc: eve@example.net\r\n")[2])
    assert "PRIVATE" not in system.log() + printed
