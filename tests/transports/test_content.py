from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.transports.smtp.content import stuffed


def unstuffed(wire: bytes) -> bytes:
    """As a server reads it: lines end in CRLF only."""
    assert wire.endswith(b".\r\n")
    body = wire[: -len(b".\r\n")]
    return re.sub(rb"(\A|\r\n)\.", rb"\1", body)


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"", b".\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"..\r\n.x\r\n", b"...\r\n..x\r\n.\r\n"),
        (b"a.b\r\n", b"a.b\r\n.\r\n"),
        (b"\r\n", b"\r\n.\r\n"),
    ],
)
def test_it_works(content, wire):
    assert stuffed(content) == wire


@pytest.mark.parametrize(
    "content", [b"a\n.\nb", b"a\r.\rb", b"a\n.\r\nMAIL FROM:<x>\r\n", b"a\r.\r\nb", b"a\r\r\n.\r\n"]
)
def test_it_never_sends_a_line_end_that_servers_disagree_on(content):
    wire = stuffed(content)
    assert b"\n" not in wire.replace(b"\r\n", b"")
    assert b"\r" not in wire.replace(b"\r\n", b"")
    assert wire.count(b"\r\n.\r\n") == 1
    assert wire.endswith(b"\r\n.\r\n")


@given(st.lists(st.sampled_from([b".", b"\r\n", b"a", b"\r\n.", b" "]), max_size=30))
def test_it_is_undone_by_a_server(parts):
    content = b"".join(parts)
    expected = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    wire = stuffed(content)
    assert unstuffed(wire) == expected
    assert (b"\r\n" + wire).count(b"\r\n.\r\n") == 1


@given(st.binary(max_size=200))
def test_it_ends_only_once_whatever_the_content(content):
    wire = b"\r\n" + stuffed(content)
    assert wire.count(b"\r\n.\r\n") == 1
    assert wire.endswith(b"\r\n.\r\n")
