from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.reply import Reply
from queueapp.transports.smtp.outcomes import Place, parsed
from queueapp.transports.smtp.replies import RawReply
from queueapp.transports.smtp.wire import Broken

PLACE = Place("mx.test", "192.0.2.1", "192.0.2.2", "TLSv1.3 X")


def outcome(raw: bytes, stage="rcpt"):
    return PLACE.of_reply(RawReply(int(raw[:3]), raw), stage)


def test_it_works():
    found = outcome(b"451-4.7.1 Greylisted,\r\n451 4.7.1 try again in 5 minutes")
    assert (found.result, found.reply_class, found.code, found.enhanced) == (
        "deferred",
        "greylisted",
        451,
        "4.7.1",
    )
    assert found.text == "Greylisted, try again in 5 minutes"
    assert found.retry_in == 300
    assert found.rule
    assert (found.host, found.address, found.source, found.tls) == (
        "mx.test",
        "192.0.2.1",
        "192.0.2.2",
        "TLSv1.3 X",
    )
    assert found.stage == "rcpt"


@pytest.mark.parametrize(
    ("raw", "result"),
    [
        (b"250 ok", "delivered"),
        (b"250", "delivered"),
        (b"450 no", "deferred"),
        (b"550 no", "bounced"),
        (b"421 x", "deferred"),
    ],
)
def test_it_decides_by_the_first_digit(raw, result):
    assert outcome(raw, "dot").result == result


def test_it_defers_what_broke():
    found = PLACE.of_broken(Broken("connection", "reset\r\n\0"), "dot", is_ambiguous=True)
    assert (found.result, found.reply_class, found.code, found.is_ambiguous) == (
        "deferred",
        "connection",
        None,
        True,
    )
    assert found.text.isprintable()
    assert found.host == "mx.test"


def test_it_bounces_what_we_refuse():
    found = PLACE.of_refusal("too_large", "5.3.4", "too big")
    assert (found.result, found.reply_class, found.enhanced, found.stage) == (
        "bounced",
        "too_large",
        "5.3.4",
        "mail",
    )


@given(
    st.sampled_from(["2.0.0", "2.1.5", "2.6.0", "", "5.1.1", "2.0"]),
    st.text(st.characters(codec="latin-1"), max_size=60),
    st.sampled_from(["250 ", "250-x\r\n250 ", "251 "]),
)
def test_it_reads_an_accepting_reply_as_the_full_parser_does(enhanced, text, code):
    raw = f"{code}{enhanced} {text}".replace("\n", "").encode("latin-1")
    assert parsed(RawReply(int(code[:3]), raw)) == Reply.parse(raw)


@given(st.binary(max_size=80))
def test_it_never_fails_on_a_text(text):
    assert outcome(b"550 " + text).result == "bounced"
