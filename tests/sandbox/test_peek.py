from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.sandbox.peek import peek


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"Message-ID: <1@x>\r\nSubject: hello\r\n\r\nbody\r\n", ("<1@x>", "hello")),
        (b"SUBJECT:hello\r\nmessage-id:<1@x>\r\n\r\n", ("<1@x>", "hello")),
        (b"Message-ID:\r\n <1@x>\r\n\r\n", ("<1@x>", "")),
        (
            b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?b?IPCfkYs=?=\r\n\r\n",
            ("", "Gr\xfc\xdfe \U0001f44b"),
        ),
        (b"Subject: gr\xc3\xbcn \xff\r\n\r\n", ("", "gr\xfcn \ufffd")),
        (b"Subject: one\r\nSubject: two\r\n\r\n", ("", "one")),
        (b"X: y\r\n\r\nSubject: in the body\r\n", ("", "")),
        (b"Subject: =?nosuch?q?x?=\r\n\r\n", ("", "=?nosuch?q?x?=")),
        (b"Subject: nul \x00 and \x1b[2J\r\n\r\n", ("", "nul   and  [2J")),
        (b"\r\nSubject: body\r\n", ("", "")),
        (b"", ("", "")),
    ],
)
def test_it_reads_message_id_and_subject(content: bytes, expected: tuple[str, str]) -> None:
    assert peek(content) == expected


def test_it_is_bounded() -> None:
    message_id, subject = peek(
        b"Subject: " + b"x" * 100_000 + b"\r\nMessage-ID: <" + b"y" * 5000 + b">\r\n\r\n"
    )
    assert len(subject) <= 998
    assert message_id == ""


@given(st.binary(max_size=400))
def test_it_never_fails_and_gives_what_a_database_takes(noise: bytes) -> None:
    for content in (
        noise,
        b"Subject: " + noise,
        b"Subject: =?utf-8?q?" + noise + b"?=\r\nMessage-ID:" + noise,
    ):
        for text in peek(content):
            assert len(text) <= 998
            text.encode("utf-8")
            assert "\0" not in text
