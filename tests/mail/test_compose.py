"""Messages from fields: right for every reader, and no field can break out of its place."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.mime import Attachment, ComposeError, compose, summarise, to_crlf

DATE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def build(**fields: Any) -> bytes:
    given = {
        "from_": "ann@example.com",
        "to": ["bob@example.org"],
        "text": "hi",
        "date": DATE,
        "hostname": "mx.example.com",
    }
    return compose(**{**given, **fields})


def read(raw: bytes) -> EmailMessage:
    """What Python's own parser makes of it; every promise that holds for all messages is checked here."""
    assert to_crlf(raw) is raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    message = message_from_bytes(raw, policy=policy.default)
    for part in message.walk():
        assert part.defects == [], part.defects
    return message


def test_it_works() -> None:
    raw = build(
        from_='"Lee, Ann" <ann@example.com>',
        to=["Jörg <j@bücher.example>", "bob@example.org"],
        cc=["carl@example.org"],
        subject="Grüße",
        text="Hällo\n.\nFrom here\n",
        html="<p>Hällo</p>",
        headers={"X-Job": "17"},
        attachments=[Attachment("Übersicht.pdf", "application/pdf", b"\0\1\xff" * 999)],
        message_id="<1@example.com>",
    )
    message = read(raw)
    assert raw.isascii()
    assert message["From"] == '"Lee, Ann" <ann@example.com>'
    assert message["To"] == "Jörg <j@xn--bcher-kva.example>, bob@example.org"
    assert message["Cc"] == "carl@example.org"
    assert message["Subject"] == "Grüße"
    assert message["Date"].datetime == DATE
    assert message["Message-ID"] == "<1@example.com>"
    assert message["X-Job"] == "17"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content() == "Hällo\r\n.\r\nFrom here\r\n"
    assert html.get_content().strip() == "<p>Hällo</p>"
    (attachment,) = message.iter_attachments()
    assert attachment.get_filename() == "Übersicht.pdf"
    assert attachment.get_content() == b"\0\1\xff" * 999
    assert message["Bcc"] is None


def test_it_makes_the_simplest_mail_that_will_do() -> None:
    message = read(build())
    assert message.get_content_type() == "text/plain"
    assert message["Content-Transfer-Encoding"] == "7bit"
    assert read(build(text="", html="<p>")).get_content_type() == "text/html"
    assert read(build(text="a", html="<p>")).get_content_type() == "multipart/alternative"
    assert read(build(text="", html="")).get_content() == "\r\n"


def test_it_adds_what_is_missing() -> None:
    message = read(build(date=None))
    assert message["Date"].datetime.year >= 2024
    assert message["Message-ID"].endswith("@mx.example.com>")
    assert message["Message-ID"] != read(build())["Message-ID"]
    assert message["MIME-Version"] == "1.0"
    assert b"To: undisclosed-recipients:;\r\n" in build(to=[])


def test_it_writes_utf_8_headers_only_for_addresses_that_need_them() -> None:
    raw = build(to=["Jörg <jörg@example.org>"], subject="Grüße")
    assert "To: Jörg <jörg@example.org>\r\nSubject: Grüße".encode() in raw
    assert summarise(raw).has_8bit


def test_it_folds_long_lists_and_values() -> None:
    many = [f"Somebody With A Name <person{number}@example.org>" for number in range(1_000)]
    raw = build(to=many, headers={"X-Long": "word " * 2_000}, subject="long " * 300)
    message = read(raw)
    assert len(message["To"].addresses) == 1_000
    assert message["X-Long"].split() == ["word"] * 2_000
    assert max(map(len, raw.split(b"\r\n"))) <= 80


def test_it_takes_the_headers_that_belong_to_the_sender() -> None:
    headers = {
        "Reply-To": "Zoë <z@example.com>",
        "In-Reply-To": "<0@example.com>",
        "References": "<0@example.com>",
        "List-Unsubscribe": "<https://example.com/u/" + "x" * 300 + ">",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    message = read(build(headers=headers))
    assert message["Reply-To"] == "Zoë <z@example.com>"
    assert message["List-Unsubscribe"] == headers["List-Unsubscribe"]
    given = build(headers={"message-id": "<2@example.com>", "date": "Mon, 05 Jan 2026 12:00:00 +0000"})
    assert read(given)["Message-ID"] == "<2@example.com>"
    assert read(given)["Date"].datetime.day == 5
    assert len(read(given).get_all("date", [])) == len(read(given).get_all("message-id", [])) == 1


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("X-A", "a\r\nBcc: x@example.com", "line break"),
        ("X-A", "a\nb", "line break"),
        ("X-A", "a\rb", "line break"),
        ("X-A", "a\0b", "line break or a NUL"),
        ("X-A", "a\u2028b", "line break"),
        ("X-A", "a\x1bb", "control character"),
        ("X-A", "a\ud800b", "control character"),
        ("X-A", "x" * 1_500, "too long for a line"),
        ("X-A", "x " * 20_000, "longer than 30000"),
        ("X A", "a", "no header name"),
        ("X:A", "a", "no header name"),
        ("X\r\nA", "a", "no header name"),
        ("Xä", "a", "no header name"),
        ("", "a", "no header name"),
        ("X" * 77, "a", "no header name"),
        ("From", "a@example.com", "written by the queue"),
        ("to", "a@example.com", "written by the queue"),
        ("Cc", "a@example.com", "written by the queue"),
        ("BCC", "a@example.com", "written by the queue"),
        ("Subject", "a", "written by the queue"),
        ("Received", "a", "written by the queue"),
        ("Return-Path", "a", "written by the queue"),
        ("MIME-Version", "1.0", "written by the queue"),
        ("Content-Type", "text/html", "written by the queue"),
        ("content-x", "a", "written by the queue"),
        ("Resent-To", "a@example.com", "written by the queue"),
        ("Message-ID", "no brackets", "<unique@example.com>"),
        ("Message-ID", "<a@b> <c@d>", "<unique@example.com>"),
        ("Date", "yesterday", "no date"),
        ("Reply-To", "nobody", "no domain"),
    ],
)
def test_it_refuses_a_header_with_its_name_and_the_reason(name: str, value: str, reason: str) -> None:
    with pytest.raises(ComposeError) as caught:
        build(headers={name: value})
    assert caught.value.field.startswith("headers.")
    assert caught.value.field.isprintable()
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"from_": "ann"}, "from", "no domain"),
        ({"from_": ""}, "from", "no address"),
        ({"from_": "a@b.c, d@e.f"}, "from", "exactly one"),
        ({"to": ["a@b.c", "nobody"]}, "to[1]", "no domain"),
        ({"to": ["a@b.c", ""]}, "to[1]", "no address"),
        ({"to": ["a@b.c\r\nBcc: x@y.z"]}, "to[0]", "line break"),
        ({"cc": ["Ann\n <a@b.c>"]}, "cc[0]", "line break"),
        ({"subject": "a\r\nBcc: x@y.z"}, "subject", "line break"),
        ({"subject": "a\0b"}, "subject", "control"),
        ({"subject": "x" * 30_001}, "subject", "longer"),
        ({"text": "a\0b"}, "text", "NUL"),
        ({"html": "a\ud800b"}, "html", "surrogate"),
        ({"message_id": "<a@b>\r\nX: y"}, "message_id", "<unique@example.com>"),
        ({"headers": {f"X-{n}": "" for n in range(201)}}, "headers", "at most 200"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers.x-a", "twice"),
        ({"headers": {"X-A": 1}}, "headers.X-A", "must be text"),
        ({"attachments": [Attachment("a\r\nb", "a/b", b"")]}, "attachments[0].filename", "line break"),
        ({"attachments": [Attachment("a\u202eb", "a/b", b"")]}, "attachments[0].filename", "invisible"),
        ({"attachments": [Attachment("a" * 256, "a/b", b"")]}, "attachments[0].filename", "longer than 255"),
        ({"attachments": [Attachment("a", "pdf", b"")]}, "attachments[0].content_type", "application/pdf"),
        (
            {"attachments": [Attachment("a", "a/b\r\nX: y", b"")]},
            "attachments[0].content_type",
            "application/pdf",
        ),
        (
            {"attachments": [Attachment("a", "multipart/mixed", b"")]},
            "attachments[0].content_type",
            "multipart",
        ),
    ],
)
def test_it_refuses_a_field_with_its_name_and_the_reason(
    fields: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(ComposeError) as caught:
        build(**fields)
    assert caught.value.field == field
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "filename", ["a.pdf", "a b (1).pdf", 'a"b\\c;.pdf', "日本語" * 30 + ".pdf", "x" * 255, "%C3.pdf", ""]
)
def test_it_keeps_every_file_name(filename: str) -> None:
    (attachment,) = read(
        build(attachments=[Attachment(filename, "application/pdf", b"x")])
    ).iter_attachments()
    assert (attachment.get_filename() or "") == filename


def test_it_attaches_a_mail_as_a_mail() -> None:
    inner = build(subject="inner")
    (attachment,) = read(build(attachments=[Attachment("m.eml", "message/rfc822", inner)])).iter_attachments()
    assert attachment.get_content()["Subject"] == "inner"


@pytest.mark.parametrize(
    "text", ["", "a", "x" * 5_000, "日本語\n" * 500, "a \n", "=\n", "\r\n\r\n.\r\n", "a\rb", "ä" * 5_000]
)
def test_it_keeps_every_text(text: str) -> None:
    got = read(build(text=text)).get_content()
    assert got == to_crlf(text.encode()).decode()


LINES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Cs"]), max_size=200)


@given(LINES, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=300), LINES)
def test_it_never_lets_a_field_out_of_its_place(subject: str, text: str, custom: str) -> None:
    try:
        raw = build(subject=subject, text=text, html=text, headers={"X-A": custom})
    except ComposeError as error:
        assert "too long" in error.reason  # noqa: PT017
        return
    keys = read(raw).keys()
    assert keys[:7] == ["Date", "From", "To", "Subject", "Message-ID", "X-A", "MIME-Version"]
    assert set(keys[7:]) <= {"Content-Type", "Content-Transfer-Encoding"}
    assert raw.isascii()


@given(st.text(max_size=60), st.text(max_size=60))
def test_it_builds_or_refuses_any_header(name: str, value: str) -> None:
    try:
        raw = build(headers={name: value})
    except ComposeError as error:
        assert error.field.isprintable()  # noqa: PT017
        return
    extra = set(read(raw).keys()) - {"Date", "From", "To", "Subject", "Message-ID", "MIME-Version", name}
    assert extra == {"Content-Type", "Content-Transfer-Encoding"}
