from __future__ import annotations

import io
from email import message_from_bytes, policy

import pytest

from queueapp.ingest.sendmail import (
    Call,
    DataError,
    UsageError,
    envelope_sender,
    parse_arguments,
    prepare,
    read_mail,
)

MAIL = (
    b"From: ann@example.com\nTo: Bob <bob@example.net>,\n carl@example.net\nCc: dora@example.net\n"
    b"Bcc: eve@example.net,\n\tfritz@example.net\nSubject: x\n\nHello\n"
)


def prepared(*arguments: str, mail: bytes = MAIL) -> tuple[list[str], bytes]:
    return prepare(parse_arguments(arguments), mail, "ann@example.com", "host.example")


# ── Options ───────────────────────────────────────────────────────────────────────────────────


def test_it_reads_what_programs_write() -> None:
    call = parse_arguments(["-t", "-i", "-f", "ann@example.com", "-F", "Ann", "bob@example.net"])
    assert call == Call(["bob@example.net"], "ann@example.com", "Ann", from_header=True, dot_ends=False)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-ti"], Call([], from_header=True, dot_ends=False)),
        (["-oi", "-t"], Call([], from_header=True, dot_ends=False)),
        (["-fann@example.com", "b@example.net"], Call(["b@example.net"], "ann@example.com")),
        (["-f", "<>", "b@example.net"], Call(["b@example.net"], "")),
        (["-f", "", "b@example.net"], Call(["b@example.net"], "")),
        (["-f", "<ann@example.com>"], Call([], "ann@example.com")),
        (["-r", "ann@example.com"], Call([], "ann@example.com")),
        (["-bm", "-oem", "-odb", "-N", "never", "b@example.net"], Call(["b@example.net"])),
        (["--", "-odd@example.net"], Call(["-odd@example.net"])),
        (["a@example.net", "-i", "b@example.net"], Call(["a@example.net", "b@example.net"], dot_ends=False)),
    ],
)
def test_it_reads_options_in_every_form(arguments: list[str], expected: Call) -> None:
    assert parse_arguments(arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-bs"], "-bs is not supported"),
        (["-bd"], "-bd is not supported"),
        (["-q"], "no option -q"),
        (["-f"], "-f needs a value"),
        (["-o"], "-o needs its letter"),
        (["-p", "x"], "-p is not supported|no option -p"),
        (["-C", "/etc/other.cf", "-Z"], "no option -Z"),
    ],
)
def test_it_refuses_options_that_would_change_what_happens(arguments: list[str], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        parse_arguments(arguments)


# ── The mail on stdin ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_it_ends_at_a_single_dot_unless_told_otherwise(line_end: bytes) -> None:
    mail = line_end.join((b"Subject: x", b"", b"one", b".", b"two", b""))
    assert read_mail(io.BytesIO(mail), dot_ends=True, limit=100).endswith(b"one" + line_end)
    assert read_mail(io.BytesIO(mail), dot_ends=False, limit=100) == mail


def test_it_keeps_a_dot_that_is_not_alone() -> None:
    mail = b"Subject: x\n\n.a\n..\n. \n"
    assert read_mail(io.BytesIO(mail), dot_ends=True, limit=100) == mail


def test_it_refuses_more_than_the_limit() -> None:
    assert read_mail(io.BytesIO(b"x" * 10), dot_ends=False, limit=10)
    with pytest.raises(DataError, match="larger than 10 bytes"):
        read_mail(io.BytesIO(b"x" * 11), dot_ends=False, limit=10)


@pytest.mark.parametrize("nothing", [b"", b"\n\n", b".\n"])
def test_it_refuses_nothing(nothing: bytes) -> None:
    with pytest.raises(DataError, match="no mail on stdin"):
        read_mail(io.BytesIO(nothing), dot_ends=True, limit=10)


# ── Envelope and source ───────────────────────────────────────────────────────────────────────


def test_it_takes_the_recipients_from_the_header() -> None:
    recipients, _ = prepared("-t")
    assert recipients == [f"{name}@example.net" for name in ("bob", "carl", "dora", "eve", "fritz")]


def test_it_adds_those_of_the_command_line_and_names_each_once() -> None:
    recipients, _ = prepared("-t", "zoe@example.net", "bob@example.net, Zoe <zoe@example.net>")
    assert recipients[:2] == ["zoe@example.net", "bob@example.net"]
    assert len(recipients) == 6


def test_it_sends_to_the_command_line_only_without_t() -> None:
    assert prepared("zoe@example.net")[0] == ["zoe@example.net"]


def test_it_removes_bcc_with_its_continuation_and_nothing_else() -> None:
    _, source = prepared("-t")
    assert b"eve" not in source
    assert b"fritz" not in source
    kept = source[source.index(b"From:") :]
    assert kept == (
        b"From: ann@example.com\r\nTo: Bob <bob@example.net>,\r\n carl@example.net\r\n"
        b"Cc: dora@example.net\r\nSubject: x\r\n\r\nHello\r\n"
    )


def test_it_leaves_the_word_bcc_in_the_body_alone() -> None:
    _, source = prepared("-t", mail=b"To: a@example.net\n\nBcc: not a header\n")
    assert source.endswith(b"\r\n\r\nBcc: not a header\r\n")


def test_it_adds_what_a_mail_must_have() -> None:
    call = parse_arguments(["-t", "-F", "Änn, Boss"])
    _, source = prepare(call, b"To: a@example.net\n\nx\n", "ann@example.com", "host.example")
    mail = message_from_bytes(source, policy=policy.default)
    assert mail["From"].addresses[0].display_name == "Änn, Boss"
    assert mail["From"].addresses[0].addr_spec == "ann@example.com"
    assert mail["Message-ID"].endswith("@host.example>")
    assert mail["Date"].datetime is not None
    assert source.isascii()


def test_it_leaves_a_complete_header_as_it_is() -> None:
    mail = b"Date: Mon, 01 Jan 2024 12:00:00 +0000\r\nFrom: a@example.com\r\nMessage-ID: <1@x>\r\n\r\nx\r\n"
    assert prepared("b@example.net", mail=mail)[1] == mail


@pytest.mark.parametrize("mail", [b"just text\nand more\n", b"\njust text\n", b" indented\n"])
def test_it_takes_text_without_a_header_as_the_body(mail: bytes) -> None:
    _, source = prepared("b@example.net", mail=mail)
    header, _, body = source.partition(b"\r\n\r\n")
    assert header.startswith(b"Date: ")
    assert body == mail.lstrip(b"\n").replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("arguments", "mail", "text"),
    [
        ((), MAIL, "no recipient"),
        (("-t",), b"Subject: x\n\nx\n", "no recipient"),
        (("-t",), b"To: undisclosed-recipients:;\n\nx\n", "no recipient"),
        (("root",), MAIL, "no domain"),
        (("a@example.net\r\nRCPT TO:<b@example.net>",), MAIL, "recipient"),
        (("x" * 400 + "@example.net",), MAIL, "longer than"),
        (("-t",), b"To: \xff\xfe@example.net\n\nx\n", "not UTF-8"),
        (("-t",), b"To: a@\n\nx\n", "To: "),
        (("-F", "Ann\nBcc: x@example.net", "a@example.net"), b"\nx\n", "control character"),
    ],
)
def test_it_refuses_bad_data(arguments: tuple[str, ...], mail: bytes, text: str) -> None:
    with pytest.raises(DataError, match=text):
        prepared(*arguments, mail=mail)


def test_it_knows_the_sender_in_force() -> None:
    assert envelope_sender(Call([]), "root@host.example") == "root@host.example"
    assert envelope_sender(Call([], "Ann@EXAMPLE.com"), "root@host.example") == "Ann@example.com"
    assert envelope_sender(Call([], ""), "root@host.example") == ""
    with pytest.raises(DataError, match="sender"):
        envelope_sender(Call([], "a b@example.com"), "root@host.example")
