"""Reports to senders, read back by Python's own parser: right for programs, plain for people, safe."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.classes import CLASSES
from queueapp.mail.dsn import Recipient, bounce_report, delay_warning
from queueapp.mail.mime import summarise, to_crlf

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2026, 1, 7, 3, 4, 5, tzinfo=UTC)
ORIGINAL = b"From: ann@example.com\r\nSubject: Hello\r\nMessage-ID: <1@example.com>\r\n\r\nsecret body"
BOB = Recipient(
    "bob@example.org",
    "failed",
    "no_such_user",
    "5.1.1",
    "550 5.1.1 user unknown",
    "mx.example.org",
    last_attempt_at=NOW,
)


def build(make: Any = bounce_report, **fields: Any) -> bytes:
    given = {
        "original_sender": "ann@example.com",
        "recipients": [BOB],
        "original": ORIGINAL,
        "hostname": "mx.example.com",
        "arrived_at": NOW,
        "now": NOW,
    }
    raw: bytes = make(**{**given, **fields})
    return raw


def report(make: Any = bounce_report, **fields: Any) -> EmailMessage:
    raw = build(make, **fields)
    assert to_crlf(raw) is raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    message = message_from_bytes(raw, policy=policy.default)
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    for part in message.walk():
        assert part.defects == [], part.defects
    return message


def human(message: EmailMessage) -> str:
    return str(list(message.iter_parts())[0].get_content())


def status(message: EmailMessage) -> list[Message]:
    return list(message.iter_parts())[1].get_payload()  # type: ignore[return-value]


def original(message: EmailMessage) -> str:
    return str(list(message.iter_parts())[2].get_content())


def test_it_reports_a_bounce() -> None:
    message = report()
    assert message.get_content_type() == "multipart/report"
    assert message["Content-Type"].params["report-type"] == "delivery-status"
    assert message["From"] == "Mail Delivery System <MAILER-DAEMON@mx.example.com>"
    assert message["To"].addresses[0].addr_spec == "ann@example.com"
    assert message["Subject"] == "Mail not delivered: Hello"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == message["References"] == "<1@example.com>"
    assert message["Date"].datetime == NOW
    assert message["Message-ID"].endswith("@mx.example.com>")


def test_it_tells_programs_by_rfc_3464() -> None:
    about, bob = status(report(envelope_id="QQ314159"))
    assert about["Reporting-MTA"] == "dns; mx.example.com"
    assert about["Original-Envelope-Id"] == "QQ314159"
    assert about["Arrival-Date"] == "Fri, 02 Jan 2026 03:04:05 +0000"
    assert bob["Final-Recipient"] == "rfc822; bob@example.org"
    assert bob["Action"] == "failed"
    assert bob["Status"] == "5.1.1"
    assert bob["Remote-MTA"] == "dns; mx.example.org"
    assert bob["Diagnostic-Code"] == "smtp; 550 5.1.1 user unknown"
    assert bob["Last-Attempt-Date"] == "Fri, 02 Jan 2026 03:04:05 +0000"
    assert bob["Will-Retry-Until"] is None


def test_it_tells_people_in_plain_words() -> None:
    text = human(report())
    for part in (
        "bob@example.org",
        CLASSES["no_such_user"].sentence,
        "550 5.1.1 user unknown",
        "mx.example.org",
        "Hello",
    ):
        assert part in text
    assert "not tried again" in text
    assert "What you can do: check the address" in text


def test_it_warns_of_a_delay() -> None:
    late = Recipient("bob@example.org", "delayed", "busy", "4.3.2", "421 busy", "mx.example.org", NOW, LATER)
    message = report(delay_warning, recipients=[late])
    assert message["Subject"] == "Mail delayed: Hello"
    assert "no need to send it once more" in human(message).replace("\n", " ")
    assert "Wed, 07 Jan 2026" in human(message)
    _, bob = status(message)
    assert (bob["Action"], bob["Status"]) == ("delayed", "4.3.2")
    assert bob["Will-Retry-Until"] == "Wed, 07 Jan 2026 03:04:05 +0000"


def test_it_reports_many_recipients_in_one() -> None:
    many = [Recipient(f"u{number}@example.org", "failed", "no_such_user", "5.1.1") for number in range(1_000)]
    assert len(status(report(recipients=many))) == 1_001


@pytest.mark.parametrize("reply_class", list(CLASSES))
def test_it_has_words_for_each_class(reply_class: str) -> None:
    text = human(report(recipients=[Recipient("bob@example.org", "failed", reply_class)]))
    assert CLASSES[reply_class].sentence in text
    assert "What you can do:" in text


def test_it_returns_the_headers_of_the_original_and_not_its_body() -> None:
    message = report()
    assert "Message-ID: <1@example.com>" in original(message)
    assert "secret body" not in message.as_string()


def test_it_bounds_the_headers_that_it_returns() -> None:
    huge = (
        b"Subject: x\r\n"
        + b"X-Filler: "
        + b"y" * 100
        + b"\r\n"
        + (b"X-Filler: " + b"z" * 100 + b"\r\n") * 5_000
    )
    text = original(report(original=huge + b"\r\nbody"))
    assert len(text) <= 20_000
    assert text.rstrip().endswith("z" * 100)
    assert len(original(report(original=b"X: " + b"y" * 500_000))) <= 20_000


def test_it_names_a_recipient_beyond_ascii_by_rfc_6533() -> None:
    raw_message = report(recipients=[Recipient("jörg@example.org", "failed", "no_such_user", "5.1.1")])
    assert status(raw_message)[1]["Final-Recipient"] == r"utf-8; j\x{F6}rg@example.org"
    assert "jörg@example.org" in human(raw_message)


def test_it_writes_to_a_sender_beyond_ascii() -> None:
    assert b"\r\nTo: <j\xc3\xb6rg@example.com>\r\n" in build(original_sender="jörg@example.com")


def test_it_stays_ascii_whatever_the_original_held() -> None:
    raw = build(original="Subject: Grüße 日本\r\nX: \xff\r\n\r\n".encode())
    assert raw.isascii()
    summary = summarise(raw)
    assert summary.is_auto
    assert summary.subject == "Mail not delivered: Grüße 日本"


def test_it_never_writes_to_the_null_sender() -> None:
    with pytest.raises(ValueError, match="null sender"):
        report(original_sender="")
    with pytest.raises(ValueError, match="at least one recipient"):
        report(recipients=[])


def test_it_neutralises_a_hostile_original() -> None:
    hostile = b"Subject: =?utf-8?q?x=0D=0ABcc:_evil@example.com=00?=\r\nMessage-ID: <a@b>\t<c@d> \x00\r\n\r\n"
    message = report(original=hostile)
    assert message["Bcc"] is None
    assert message["Subject"] == "Mail not delivered: x Bcc: evil@example.com"
    assert message["In-Reply-To"] == "<a@b>"
    assert report(original=b"Message-ID: nonsense\r\n\r\n")["In-Reply-To"] is None
    assert report(original=b"")["Subject"] == "Mail not delivered"


def test_it_neutralises_hostile_facts() -> None:
    bad = Recipient(
        "a@b\r\nAction: delivered",
        "failed",
        "no such class",
        "9.9\r\nX: y",
        "550 x\r\n\r\n--=_\r\nFinal-Recipient: y\x00" + "z" * 5_000,
        "mx\r\nX: y",
        original_recipient="rfc822;x\r\nX: y",
    )
    _, about = status(report(recipients=[bad], hostname="h\r\nX: y", envelope_id="e\r\nX: y"))
    assert about.keys() == [
        "Original-Recipient",
        "Final-Recipient",
        "Action",
        "Status",
        "Remote-MTA",
        "Diagnostic-Code",
    ]
    assert (about["Action"], about["Status"]) == ("failed", "5.0.0")


@given(st.binary(max_size=300), st.text(max_size=200), st.text(max_size=60))
def test_it_makes_a_right_report_of_anything(raw: bytes, diagnostic: str, address: str) -> None:
    recipient = Recipient(address, "failed", "other", diagnostic=diagnostic, remote_mta=address)
    message = report(original=raw, recipients=[recipient])
    assert len(status(message)) == 2
    assert status(message)[1]["Action"] == "failed"
