"""A message for the page: what people look for is found, and nothing a stranger sends can hurt."""

from __future__ import annotations

import time
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.mime import MessageView, view


def full() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Jörg <ann@example.com>"
    message["Subject"] = "Grüße"
    message.set_content("Hällo\nworld")
    message.add_alternative("<p>Hällo</p>", subtype="html")
    message.add_attachment(b"\0\1\2" * 99, maintype="application", subtype="pdf", filename="Übersicht.pdf")
    message.add_attachment("plain file", filename="a.txt")
    return message


def test_it_works() -> None:
    shown = view(full().as_bytes())
    assert ("Subject", "Grüße") in shown.headers
    assert ("From", "Jörg <ann@example.com>") in shown.headers
    assert shown.text == "Hällo\nworld\n"
    assert shown.html == "<p>Hällo</p>\n"
    assert shown.attachments == [("Übersicht.pdf", "application/pdf", 297), ("a.txt", "text/plain", 11)]
    assert not shown.is_truncated


def test_it_shows_a_mail_of_one_part() -> None:
    assert view(b"Subject: x\r\n\r\nhello\r\n").text == "hello\n"
    assert view(b"Content-Type: text/html\n\n<b>").html == "<b>"
    assert view(b"\r\nno headers at all").text == "no headers at all"
    assert view(b"") == MessageView()


@pytest.mark.parametrize(
    ("head", "body", "text"),
    [
        ("text/plain; charset=iso-8859-1", b"\xe4", "ä"),
        ("text/plain; charset=utf-16-le", "ä".encode("utf-16-le"), "ä"),
        ("text/plain; charset=no-such", b"\xc3\xa4", "ä"),
        ("text/plain; charset=\"", b"x", "x"),
        ("text/plain; charset=utf-8", b"\xe4\xf6", "äö"),
        ("text/plain\nContent-Transfer-Encoding: BASE64", b"w6Q=", "ä"),
        ("text/plain\nContent-Transfer-Encoding: base64", b"w6Q", "ä"),
        ("text/plain\nContent-Transfer-Encoding: quoted-printable", b"=C3=A4=\n=ZZ", "ä=ZZ"),
        ("text/plain\nContent-Transfer-Encoding: x-nonsense", b"x", "x"),
        ("text/plain", b"a\0b\x1b[31m\x08c", "ab[31mc"),
        ("nonsense", b"x", "x"),
    ],
)  # fmt: skip
def test_it_decodes_what_it_can_and_shows_the_rest(head: str, body: bytes, text: str) -> None:
    assert view(f"Content-Type: {head}\n\n".encode() + body).text == text


def test_it_lists_other_parts_as_attachments() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png\n\nxx\n"
        b"--b\nContent-Type: message/rfc822\n\nSubject: inner\n\ninner\n"
        b"--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename*=utf-8''%C3%A4.txt\n\nx\n"
        b"--b\nContent-Type: text/plain\n\nthe text\n--b--\nepilogue"
    )
    shown = view(raw)
    assert shown.text == "the text"
    assert [one[:2] for one in shown.attachments] == [
        ("", "image/png"),
        ("", "message/rfc822"),
        ("ä.txt", "text/plain"),
    ]


def test_it_joins_texts_and_takes_the_first_html() -> None:
    part = b"--b\nContent-Type: text/%s\n\n%s\n"
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"".join(
        part % pair for pair in ((b"plain", b"one"), (b"html", b"<i>"), (b"plain", b"two"), (b"html", b"<b>"))
    )
    shown = view(raw)
    assert (shown.text, shown.html) == ("one\n\ntwo", "<i>")


def test_it_shows_a_multipart_without_its_boundary_as_text() -> None:
    assert view(b"Content-Type: multipart/mixed; boundary=x\n\nhello").text == "hello"
    assert view(b"Content-Type: multipart/mixed\n\nhello").attachments == [("", "multipart/mixed", 5)]


def test_it_cuts_long_texts_and_says_so() -> None:
    shown = view(b"Content-Type: text/html\n\n" + b"<p>\r\n" * 6_000_000)
    assert len(shown.html) == 1_000_000
    assert shown.is_truncated
    shown = view(b"\n" + b"x" * 101, limit=100)
    assert (len(shown.text), shown.is_truncated) == (100, True)
    assert not view(b"\n" + b"x" * 100, limit=100).is_truncated


def test_it_tames_file_names_and_headers() -> None:
    shown = view(
        b"X: a\x00\x1b[2J\x7fb\nContent-Type: application/pdf; name*=utf-8''a%0D%0A%00%E2%80%AEfdp.exe\n\nx"
    )
    assert shown.headers[0] == ("X", "a [2J b")
    assert shown.attachments == [("a fdp.exe", "application/pdf", 1)]


MIXED = b"Content-Type: multipart/mixed; boundary=b\n\n"
NESTED = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(20_000))


@pytest.mark.parametrize(
    ("raw", "is_truncated"),
    [
        (b"X: y\n" * 20_000 + b"\nhi", True),
        (NESTED, True),
        (MIXED + b"--b\nContent-Type: text/plain\n\nx\n" * 50_000, True),
        (MIXED + (b"--b\n" + MIXED) * 50_000, True),
        (b"Content-Type: text/plain" + b'; x="' * 50_000 + b"\n\nhi", True),
        (b"Content-Type: application/pdf" + b"; name*0*=a" * 50_000 + b"\n\nhi", True),
        (b"Content-Transfer-Encoding: base64\n\n" + b"=" * 1_000_000, False),
    ],
)  # fmt: skip
def test_it_is_quick_on_hostile_mail(raw: bytes, is_truncated: bool) -> None:
    start = time.process_time()
    shown = view(raw)
    assert time.process_time() - start < 3
    assert shown.is_truncated is is_truncated or b"base64" in raw
    assert len(shown.headers) <= 10_000
    assert len(shown.attachments) <= 500


HEADS = st.sampled_from(
    [
        b"", b"Content-Type: multipart/mixed; boundary=b\n", b"Content-Type: text/html; charset=",
        b"Content-Transfer-Encoding: base64\n", b"Content-Disposition: attachment; filename=", b"\n--b\n",
        b"\n--b--",
        b"Content-Transfer-Encoding: quoted-printable\n", b"Content-Type: application/x; name*0*=", b"\n\n",
    ]
)  # fmt: skip


@given(st.lists(st.one_of(HEADS, st.binary(max_size=20)), max_size=12).map(b"".join))
def test_it_never_raises(raw: bytes) -> None:
    shown = view(raw)
    for text in shown.text, shown.html, *(f"{name}{value}" for name, value in shown.headers):
        text.encode("utf-8")
        assert "\0" not in text
    for filename, content_type, size in shown.attachments:
        (filename + content_type).encode("utf-8")
        assert size >= 0
