"""Mailboxes in headers: what people write is read, what is wrong is refused with the reason."""

from __future__ import annotations

import time
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.address import Address, AddressError, format_mailbox, parse_mailbox_header


@pytest.mark.parametrize(
    ("value", "boxes"),
    [
        ("ann@example.com", [("", "ann@example.com")]),
        ("<ann@example.com>", [("", "ann@example.com")]),
        ("Ann Lee <ann@Example.com>", [("Ann Lee", "ann@example.com")]),
        (
            '"Lee, Ann" <ann@example.com>, bob@example.org',
            [("Lee, Ann", "ann@example.com"), ("", "bob@example.org")],
        ),
        (r'"Ann \"A\" Lee" <ann@example.com>', [('Ann "A" Lee', "ann@example.com")]),
        ("Ann B. Lee <ann@example.com>", [("Ann B. Lee", "ann@example.com")]),
        ("=?utf-8?q?J=C3=B6rg?= <j@example.com>", [("Jörg", "j@example.com")]),
        ("Jörg <j@bücher.example>", [("Jörg", "j@xn--bcher-kva.example")]),
        ("ann@example.com (Ann)", [("", "ann@example.com")]),
        ("(x) Ann <ann@example.com> (y)", [("Ann", "ann@example.com")]),
        (
            "Friends: ann@example.com, Bob <bob@example.org>;",
            [("", "ann@example.com"), ("Bob", "bob@example.org")],
        ),
        ("undisclosed-recipients:;", []),
        ("", []),
        (" , ,", []),
        ("ann@example.com,\r\n\tbob@example.org", [("", "ann@example.com"), ("", "bob@example.org")]),
        ('"a b"@example.com', [("", '"a b"@example.com')]),
        ('X <"a:b,c"@example.com>', [("X", '"a:b,c"@example.com')]),
    ],
)
def test_it_reads_what_people_write(value: str, boxes: list[tuple[str, str]]) -> None:
    assert [(display, str(address)) for display, address in parse_mailbox_header(value)] == boxes
    assert parse_mailbox_header(value.encode()) == parse_mailbox_header(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("Ann", "no domain"),
        ("Ann Lee ann@example.com", "space outside quotes"),
        ("ann@example.com bob@example.org", "space"),
        ("<ann@example.com> <bob@example.org>", "more than one address"),
        ("Ann <ann@example.com> Lee", "text after it"),
        ("Lee, Ann <ann@example.com>", "no domain"),
        ("Ann <ann@example.com", "space outside quotes"),
        ("<ann@example.com", "quoted"),
        ("Ann <>", "empty"),
        ("Ann <ann@example.com\r\nBcc: x@example.com>", "control"),
        ("ann@example.com\0", "control"),
        ("x" * 500_001, "longer than 500000 characters"),
    ],
)
def test_it_refuses_with_the_reason(value: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason):
        parse_mailbox_header(value)


@pytest.mark.parametrize(
    ("display", "written"),
    [
        ("", "ann@example.com"),
        ("Ann Lee", "Ann Lee <ann@example.com>"),
        ("Lee, Ann", '"Lee, Ann" <ann@example.com>'),
        ('Ann "A" \\', r'"Ann \"A\" \\" <ann@example.com>'),
        ("Jörg", "=?utf-8?q?J=C3=B6rg?= <ann@example.com>"),
        ("a\r\nBcc: x@example.org", '"a Bcc: x@example.org" <ann@example.com>'),
        ("bob@example.org", '"bob@example.org" <ann@example.com>'),
    ],
)
def test_it_writes_a_mailbox(display: str, written: str) -> None:
    address = Address("ann", "example.com")
    assert format_mailbox(display, address) == written
    assert format_mailbox(display, "ann@example.com") == written


def test_it_writes_utf_8_where_asked_to() -> None:
    assert format_mailbox("Jörg", Address("jörg", "example.com"), is_utf8=True) == "Jörg <jörg@example.com>"


@given(st.text(max_size=60))
def test_it_reads_again_what_it_wrote_whatever_the_name(display: str) -> None:
    written = format_mailbox(display, "ann@example.com")
    assert written.isascii()
    assert not set(written) & set("\r\n\0")
    ((_, address),) = parse_mailbox_header(written)
    assert str(address) == "ann@example.com"
    read = message_from_bytes(f"To: {written}\r\n\r\n".encode(), policy=policy.default)["To"]
    assert [one.addr_spec for one in read.addresses] == ["ann@example.com"]


@given(st.text(alphabet='ab@.,;:<>"()\\ \r\n=?ö', max_size=60))
def test_it_reads_or_refuses_any_text(text: str) -> None:
    try:
        boxes = parse_mailbox_header(text)
    except AddressError as error:
        assert str(error).isprintable()  # noqa: PT017
        return
    for _, address in boxes:
        assert str(address).isprintable()


@pytest.mark.parametrize(
    "text", ["(" * 100_000, '"' * 100_000, "<" * 100_000, "a," * 100_000, "a:" * 100_000, ":" * 99]
)
def test_it_is_quick_on_hostile_text(text: str) -> None:
    start = time.process_time()
    try:
        n_boxes = len(parse_mailbox_header(text))
    except AddressError:
        n_boxes = 0
    assert n_boxes == 0
    assert time.process_time() - start < 1
