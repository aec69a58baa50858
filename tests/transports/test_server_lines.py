"""Lines in and out, without a socket: paths, parameters, base64 and replies."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.transports.smtp.server_lines import (
    Path,
    Reply,
    WrongLine,
    decode_base64,
    decode_plain,
    encode_lines,
    line_limit,
    parse_path,
    printable,
)

ADDRESS = st.text(st.characters(exclude_characters='<>"\\', exclude_categories=["C", "Z"]), min_size=1)


@pytest.mark.parametrize(
    ("argument", "path"),
    [
        (b"FROM:<a@x.test>", Path("a@x.test", {})),
        (b"from:<a@x.test>", Path("a@x.test", {})),
        (b"FROM: <a@x.test> SIZE=7 BODY=8BITMIME", Path("a@x.test", {"SIZE": "7", "BODY": "8BITMIME"})),
        (b"FROM:<> smtputf8", Path("", {"SMTPUTF8": ""})),
        (b"FROM:a@x.test size=7", Path("a@x.test", {"SIZE": "7"})),
        (b"FROM:<@one.test,@two.test:a@x.test>", Path("a@x.test", {})),
        (b'FROM:<"a > b"@x.test>', Path('"a > b"@x.test', {})),
        (b'FROM:<"a \\" > b"@x.test>', Path('"a \\" > b"@x.test', {})),
        ("FROM:<jürgen@x.test>".encode(), Path("jürgen@x.test", {})),
        (b"FROM : <a@x.test>", Path("a@x.test", {})),
    ],
)
def test_it_reads_a_path(argument: bytes, path: Path) -> None:
    assert parse_path(argument, b"FROM") == path


@pytest.mark.parametrize(
    ("argument", "enhanced"),
    [
        (b"", "5.5.4"),
        (b"<b@y.test>", "5.5.4"),
        (b"FROM:<b@y.test>", "5.5.4"),
        (b"TO", "5.5.4"),
        (b"TO:", "5.1.3"),
        (b"TO:<b@y.test", "5.1.3"),
        (b'TO:<"b@y.test>', "5.1.3"),
        (b"TO:<b@y.test>x", "5.1.3"),
        (b"TO:<\xff@y.test>", "5.1.3"),
        (b"TO:<b@y.test> =x", "5.5.4"),
        (b"TO:<b@y.test> A=1 a=2", "5.5.4"),
    ],
)
def test_it_refuses_what_is_no_path(argument: bytes, enhanced: str) -> None:
    with pytest.raises(WrongLine) as wrong:
        parse_path(argument, b"TO")
    assert (wrong.value.reply.code, wrong.value.reply.enhanced) == (501, enhanced)


@given(ADDRESS)
def test_it_gives_any_address_back_as_written(address: str) -> None:
    if not address.startswith("@"):
        assert parse_path(f"TO:<{address}>".encode(), b"TO").address == address


def refusal(read: Callable[[], object]) -> Reply | None:
    try:
        read()
    except WrongLine as wrong:
        return wrong.reply
    return None


@given(st.binary(max_size=200))
def test_it_reads_or_refuses_any_octets(noise: bytes) -> None:
    for argument in (noise, b"TO:" + noise, b"TO:<" + noise + b">", b"TO:<b@y.test> " + noise):
        wrong = refusal(lambda argument=argument: parse_path(argument, b"TO"))
        assert wrong is None or (wrong.code == 501 and wrong.encode().count(b"\n") == 1)


@given(st.integers(200, 599), st.text(max_size=2000))
def test_it_writes_one_clean_line_whatever_the_text(code: int, text: str) -> None:
    line = Reply(code, "5.0.0", text).encode()
    assert line.startswith(b"%d " % code)
    assert line.endswith(b"\r\n")
    assert len(line) <= 512
    assert all(32 <= octet < 127 for octet in line[:-2])


def test_it_writes_replies_of_several_lines() -> None:
    assert encode_lines(250, "one", "two\r\n550 no") == b"250-one\r\n250 two?550 no\r\n"
    assert Reply(550, "", "No").encode() == b"550 No\r\n"
    assert printable("x" * 500, 10) == "x" * 10


def test_it_gives_each_command_its_length() -> None:
    assert [line_limit(verb) for verb in (b"NOOP", b"RCPT", b"MAIL", b"AUTH")] == [512, 2048, 2048, 12_288]


@given(st.binary(max_size=100))
def test_it_decodes_base64_or_refuses(noise: bytes) -> None:
    assert decode_base64(base64.b64encode(noise)) == noise
    for decode in (decode_plain, decode_base64):
        wrong = refusal(lambda decode=decode: decode(noise))
        assert wrong is None or wrong.code == 501
