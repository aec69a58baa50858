"""SMTP replies as values: what servers send, what logs make of it, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.reply import MAX_TEXT, Reply, ReplyError


def test_it_reads_a_reply_of_one_line() -> None:
    reply = Reply.parse("550 5.1.1 user unknown")
    assert (reply.code, reply.enhanced, reply.text) == (550, "5.1.1", "user unknown")
    assert reply.is_permanent
    assert not reply.is_temporary
    assert not reply.is_positive
    assert str(reply) == "550 5.1.1 user unknown"


def test_it_joins_the_lines_of_one_reply() -> None:
    reply = Reply.parse("550-5.1.1 no\r\n550 5.1.1 user\r\n")
    assert reply == Reply(550, "5.1.1", "no user")


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("250", Reply(250, "", "")),
        ("250 ", Reply(250, "", "")),
        ("354 go ahead", Reply(354, "", "go ahead")),
        (b"421 4.7.0 busy\r\n", Reply(421, "4.7.0", "busy")),
        ("550 #5.1.0 Address rejected.", Reply(550, "5.1.0", "Address rejected.")),
        ("550 no mailbox here (#5.1.1)", Reply(550, "5.1.1", "no mailbox here (#5.1.1)")),
        ("550 192.0.2.7 is listed", Reply(550, "", "192.0.2.7 is listed")),
        ("550 5.7.1.2 is no status", Reply(550, "", "5.7.1.2 is no status")),
        (
            "250-mx.example.com\n250-SIZE 1\n250 PIPELINING",
            Reply(250, "", "mx.example.com SIZE 1 PIPELINING"),
        ),
        # a server that changes its mind: the last line counts
        ("220-wait\r\n554 5.7.1 go away", Reply(554, "5.7.1", "220-wait go away")),
        # logs join the lines
        (
            "550-5.7.26 This mail 550-5.7.26 is blocked 550 5.7.26 see",
            Reply(550, "5.7.26", "This mail is blocked see"),
        ),
    ],
)
def test_it_reads_what_servers_and_logs_write(line: str | bytes, reply: Reply) -> None:
    assert Reply.parse(line) == reply


@pytest.mark.parametrize(
    "line", ["", "hello", "55", "5500 x", "150 x", "650 x", "550text", b"\xff\xfe", "5.1.1 x"]
)
def test_it_refuses_what_is_no_reply(line: str | bytes) -> None:
    with pytest.raises(ReplyError, match="not an SMTP reply"):
        Reply.parse(line)


def test_it_bounds_the_text() -> None:
    assert len(Reply.parse("550 5.1.1 " + "x" * 100_000).text) == MAX_TEXT


def test_it_takes_out_what_breaks_a_terminal_or_a_row() -> None:
    reply = Reply.parse("550 \x1b[31mred\x00 \u202egnp.exe \ud800 a\tb")
    assert reply.text == "\ufffd[31mred\ufffd \ufffdgnp.exe \ufffd a b"


def test_it_reads_latin_1_where_it_is_no_utf_8() -> None:
    assert Reply.parse(b"550 Empf\xe4nger unbekannt").text == "Empfänger unbekannt"
    assert Reply.parse("550 Empfänger unbekannt".encode()).text == "Empfänger unbekannt"


@given(st.integers(200, 599), st.binary(max_size=300))
def test_it_gives_one_printable_line_whatever_came(code: int, rest: bytes) -> None:
    reply = Reply.parse(b"%d " % code + rest.replace(b"\r", b"").replace(b"\n", b""))
    assert reply.code == code
    assert reply.text.isprintable()
    reply.text.encode("utf-8")
    assert Reply.parse(str(reply)).code == code


@given(st.text(max_size=200))
def test_it_reads_or_refuses_any_text(text: str) -> None:
    try:
        shown = str(Reply.parse(text))
    except ReplyError as error:
        shown = str(error)
    assert shown.isprintable()
