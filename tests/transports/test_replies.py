from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.transports.smtp.replies import MAX_KEPT, MAX_LINE, MAX_REPLY, Malformed, ReplyParser


def parse(*pieces: bytes) -> list[tuple[int, bytes]]:
    parser = ReplyParser()
    for piece in pieces:
        parser.feed(piece)
    return [(reply.code, reply.raw) for reply in parser.replies]


def test_it_works():
    assert parse(b"250 ok\r\n") == [(250, b"250 ok")]
    assert parse(b"250-a\r\n250-b\r\n250 c\r\n354 go\r\n") == [
        (250, b"250-a\r\n250-b\r\n250 c"),
        (354, b"354 go"),
    ]


def test_it_gives_the_texts_line_by_line():
    parser = ReplyParser()
    parser.feed(b"250-mx.test hello\r\n250-SIZE 10\r\n250\r\n")
    assert parser.replies[0].lines() == ["mx.test hello", "SIZE 10", ""]


def test_it_takes_bare_codes_and_bare_line_feeds():
    assert parse(b"250\r\n250 \r\n250 x\n250-y\n250 z\n") == [
        (250, b"250"), (250, b"250 "), (250, b"250 x"), (250, b"250-y\r\n250 z"),
    ]  # fmt: skip


def test_it_lets_the_last_lines_code_count():
    assert parse(b"250-a\r\n550 b\r\n")[0][0] == 550


@given(
    st.lists(st.sampled_from([b"250 ok\r\n", b"550-5.1.1 no\r\n550 5.1.1 such\r\n", b"354\r\n"])), st.data()
)
def test_it_does_not_care_how_the_bytes_are_cut(replies, data):
    whole = b"".join(replies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert parse(*pieces) == parse(whole)
    assert len(parse(whole)) == len(replies)


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_it_either_parses_or_says_malformed(pieces):
    try:
        found = parse(*pieces)
    except Malformed:
        return
    assert all(200 <= code <= 599 for code, _ in found)


@pytest.mark.parametrize(
    "line", [b"", b"x", b"25", b"2500 x", b"199 x", b"600 x", b"+25 x", b"25\xb2 x", b" 250 x", b"250\tx"]
)
def test_it_refuses_what_is_no_reply_line(line):
    with pytest.raises(Malformed):
        parse(line + b"\r\n")


def test_it_says_whether_something_is_half_here():
    parser = ReplyParser()
    for piece, expected in (b"", False), (b"250-a", True), (b"\r\n", True), (b"250 b\r\n", False):
        parser.feed(piece)
        assert parser.has_partial is expected


def test_it_cuts_long_lines_and_long_replies():
    ((_, raw),) = parse(b"250 " + b"x" * 60_000 + b"\r\n")
    assert len(raw) == MAX_LINE
    ((_, raw),) = parse(*[b"250-" + b"x" * 1000 + b"\r\n"] * 60, b"250 end\r\n")
    assert MAX_KEPT - 1100 < len(raw) <= MAX_KEPT + MAX_LINE
    assert raw.endswith(b"250 end")


def test_it_refuses_a_reply_beyond_the_limit_however_it_comes():
    for piece in b"x", b"x" * 1000, b"\r\n250-" + b"x" * 994:
        with pytest.raises(Malformed, match="longer than 65536 octets"):
            parse(b"250-", *[piece] * (MAX_REPLY // len(piece) + 2))


def test_it_counts_each_reply_for_itself():
    assert len(parse(b"250 " + b"x" * 500 + b"\r\n", *[b"250 " + b"x" * 1000 + b"\r\n"] * 500)) == 501
    assert len(parse(b"".join([b"250 " + b"x" * 1000 + b"\r\n"] * 500))) == 500
