"""The facts of a message and its line ends: right for real mail, bounded and safe for hostile mail."""

from __future__ import annotations

import time
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.headers import decode, fields, header_block
from queueapp.mail.mime import Summary, summarise, to_crlf


def mail(headers: str, body: str = "hi") -> bytes:
    return f"{headers}\n\n{body}\n".replace("\n", "\r\n").encode()


def test_it_reads_the_facts_of_a_mail() -> None:
    raw = mail(
        "Received: from a by b;\n\tdate\nReceived: from c by a; date\nFrom: Ann <ann@example.com>\n"
        "Subject: Hello\n there\nMessage-ID: <1@example.com>"
    )
    assert summarise(raw) == Summary(
        subject="Hello there",
        message_id="1@example.com",
        from_header="Ann <ann@example.com>",
        has_attachment=False,
        n_received=2,
        is_bulk=False,
        is_auto=False,
        has_8bit=False,
        waives_tls=False,
    )


def test_it_reads_line_ends_of_any_kind() -> None:
    for raw in (
        b"Subject: a\n\nSubject: b\n",
        b"Subject: a\r\n\r\nSubject: b",
        b"Subject: a\r\n\nSubject: b",
        b"Subject: a",
    ):
        assert summarise(raw).subject == "a"
    for raw in b"\nSubject: b", b"\r\nSubject: b", b"":
        assert summarise(raw).subject == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?utf-8?B?R3LDvMOfZQ==?= =?utf-8?q?_x?=", "Grüße x"),
        ("=?utf-8?q?J=C3?= =?utf-8?q?=B6rg?=", "Jörg"),
        ("a =?iso-8859-1?q?=E4?= b", "a ä b"),
        ("=?utf-8*en?q?x=20y?=", "x y"),
        ("=?windows-1252?q?=80?=", "€"),
        ("=?shift_jis?b?k/qWew==?=", "日本"),
        ("=?no-such-charset?q?x=C3=B6?=", "xö"),
        ("=?idna?q?x?=", "x"),
        ("=?zlib_codec?b?eJw=?=", "x\x9c"[:1]),
        ("=?utf-8?b?!!!?=", ""),
        ("=?utf-8?q?a=0D=0ABcc:_x=00?=", "a Bcc: x"),
        ("=?utf-8?q?=E2=80=AEgnp?=", "gnp"),
        ("=?=?=?=", "=?=?=?="),
        ("Grüße", "Grüße"),
        ("👨\u200d👩 x", "👨\u200d👩 x"),
    ],
)
def test_it_decodes_encoded_words(value: str, text: str) -> None:
    assert summarise(mail(f"Subject: {value}")).subject == text


def test_it_reads_raw_8_bit_headers() -> None:
    assert summarise(b"Subject: Gr\xfc\xdfe\r\n\r\n").subject == "Grüße"
    summary = summarise("Subject: Grüße\r\n\r\n".encode())
    assert summary.subject == "Grüße"
    assert summary.has_8bit
    assert summarise(b"Subject: x\r\n\r\n\xff").has_8bit


@pytest.mark.parametrize(
    ("header", "is_bulk", "is_auto"),
    [
        ("List-Unsubscribe: <mailto:x@example.com>", True, False),
        ("Precedence: bulk", True, False),
        ("precedence: List", True, False),
        ("Precedence: first-class", False, False),
        ("Auto-Submitted: auto-replied", False, True),
        ("Auto-Submitted: no", False, False),
        ("Auto-Submitted: No; comment", False, False),
        ("auto-submitted: auto-generated; x=y", False, True),
        ("X-Precedence: bulk", False, False),
    ],
)
def test_it_knows_bulk_and_automatic_mail(header: str, is_bulk: bool, is_auto: bool) -> None:
    summary = summarise(mail(header))
    assert (summary.is_bulk, summary.is_auto) == (is_bulk, is_auto)


def test_it_sees_an_attachment() -> None:
    message = EmailMessage()
    message.set_content("see the file")
    assert not summarise(message.as_bytes()).has_attachment
    message.add_alternative("<p>see</p>", subtype="html")
    assert not summarise(message.as_bytes()).has_attachment
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="a.pdf")
    assert summarise(message.as_bytes()).has_attachment
    assert summarise(mail("Content-Type: application/pdf")).has_attachment
    assert summarise(mail("Content-Type: image/png\nContent-Disposition: attachment")).has_attachment
    assert not summarise(mail("Content-Type: text")).has_attachment
    assert not summarise(mail("Content-Type: text/plain", "Content-Disposition: attachment")).has_attachment


def test_it_takes_the_first_of_a_header_that_stands_there_twice() -> None:
    assert summarise(mail("Subject: a\nSubject: b")).subject == "a"


def test_it_bounds_what_it_returns() -> None:
    summary = summarise(
        mail("Subject: " + "x" * 50_000 + "\nFrom: " + "y" * 5_000 + "\nMessage-ID: " + "z" * 5_000)
    )
    assert len(summary.subject) == len(summary.from_header) == len(summary.message_id) == 998


@pytest.mark.parametrize(
    "raw",
    [
        b"A: b\r\n" * 200_000,
        b"Subject: " + b"=?utf-8?q?=?" * 50_000,
        b"Subject: " + b"=?" * 100_000,
        b"Subject: " + b"=?utf-8?b?" + b"A" * 1_000_000,
        b" x\r\n" * 200_000,
        b"Subject: a\r\n" + b" \r\n" * 200_000,
        b"Content-Type: multipart/mixed\r\n\r\n" + b"\ncontent-disposition: " * 100_000,
        b"Content-Type: multipart/mixed\r\n\r\n" + b"\n" * 2_000_000,
        b"\0" * 500_000,
    ],
)
def test_it_is_quick_on_hostile_mail(raw: bytes) -> None:
    start = time.process_time()
    summarise(raw)
    assert time.process_time() - start < 2


def test_it_reads_the_library_s_own_test_data() -> None:
    data = Path(__import__("email").__file__).parent.parent / "test" / "test_email" / "data"
    if not data.is_dir():
        pytest.skip("this Python comes without its test package")
    for path in sorted(data.glob("*.txt")):
        summary = summarise(path.read_bytes())
        assert summary.subject.isprintable(), path.name


@given(st.binary(max_size=500))
def test_it_never_fails_and_gives_what_a_database_takes(raw: bytes) -> None:
    for prefix in b"", b"Subject: ", b"Message-ID: <", b"From: =?utf-8?q?", b"Content-Type: multipart/":
        summary = summarise(prefix + raw)
        for text in summary.subject, summary.message_id, summary.from_header:
            text.encode("utf-8")
            assert not set(text) & set("\0\r\n")


@given(st.text(max_size=100))
def test_it_never_fails_on_encoded_words(text: str) -> None:
    decode(text).encode("utf-8")
    decode(f"=?{text}?q?{text}?=").encode("utf-8")
    decode(f"=?utf-8?b?{text}?=").encode("utf-8")


def test_it_finds_fields_and_leaves_out_what_is_none() -> None:
    block = b"A: 1\r\n 2\r\nno header\r\nB : 3\r\n:4\r\nC:"
    assert list(fields(block)) == [(b"A", b"1 2"), (b"B", b"3"), (b"C", b"")]
    assert header_block(b"A: 1\r\nB: 2\r\n\r\nC: 3") == b"A: 1\r\nB: 2\r"


@pytest.mark.parametrize(
    ("raw", "right"),
    [
        (b"", b"\r\n"),
        (b"a", b"a\r\n"),
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"a\rb\r", b"a\r\nb\r\n"),
        (b"a\r\nb\nc\rd\r\n", b"a\r\nb\r\nc\r\nd\r\n"),
        (b"a\n\rb", b"a\r\n\r\nb\r\n"),
        (b"a\r\r\nb", b"a\r\n\r\nb\r\n"),
        (b"\r\n.\r\n", b"\r\n.\r\n"),
    ],
)
def test_it_mends_line_ends(raw: bytes, right: bytes) -> None:
    assert to_crlf(raw) == right


def test_it_gives_right_input_back_without_a_copy() -> None:
    raw = b"a\r\nb\r\n"
    assert to_crlf(raw) is raw


@given(st.lists(st.sampled_from([b"\r", b"\n", b"a", b"."]), max_size=30).map(b"".join))
def test_it_leaves_no_bare_line_end(raw: bytes) -> None:
    right = to_crlf(raw)
    assert right.endswith(b"\r\n")
    assert right.count(b"\r") == right.count(b"\n") == right.count(b"\r\n")
    assert to_crlf(right) is right
