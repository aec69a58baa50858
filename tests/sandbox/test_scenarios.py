"""Which address asks for what, and what it gets: one line for each scenario of the contract."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.sandbox.scenarios import WORDS, Memory, Rules, decide, word_of


def reply_to(recipient: str, *, now: float = 0, memory: Memory | None = None, **more: str | None) -> str:
    decision = decide(recipient, now=now, memory=memory or Memory(), **more)  # type: ignore[arg-type]
    if decision.reply is None:
        return f"taken at {decision.stage}"
    return f"{decision.stage} {decision.reply.code} {decision.reply.enhanced} {decision.reply.text}"


@pytest.mark.parametrize(
    ("recipient", "word"),
    [
        ("defer@any.test", "defer"),
        ("DEFER@any.example", "defer"),
        ("anna+defer@any.example", "defer"),
        ("anna+x+full@any.example", "full"),
        ("anna+defer+ok@any.example", "defer"),
        ("x@defer.test", "defer"),
        ("x@a.b.Defer.TEST.", "defer"),
        ("x@reply-550.test", "reply-550"),
        ("ok@a.defer.test", "ok"),
        ("anna+nouser@a.defer.test", "nouser"),
        ("reply-451-4.7.1@any.example", "reply-451-4.7.1"),
        ("x+reply-550@any.example", "reply-550"),
        ("anna@example.org", ""),
        ("deferred@example.org", ""),
        ("x-defer@example.org", ""),
        ("x@defer.example", ""),
        ("x@defer.test.example", ""),
        ("x@test", ""),
        ("reply-354@example.org", ""),
        ("reply-451-9.9.9@example.org", ""),
        ("reply-4510@example.org", ""),
        ("reply-451-4.7.1\r\n250@example.org", ""),
        ('"defer"@any.example', "defer"),
        ("postmaster", ""),
        ("", ""),
    ],
)
def test_it_reads_the_word_of_an_address(recipient: str, word: str) -> None:
    assert word_of(recipient) == word


@pytest.mark.parametrize("word", sorted(WORDS - {"ok"}))
def test_it_takes_every_word_in_all_three_places(word: str) -> None:
    assert {word_of(f"{word}@x.org"), word_of(f"a+{word}@x.org"), word_of(f"a@b.{word}.test")} == {word}


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        ("ok@any.test", "taken at rcpt"),
        ("anna@example.org", "taken at rcpt"),
        ("reply-250@x.org", "taken at rcpt"),
        ("defer@x.org", "rcpt 451 4.3.0 "),
        ("greylist@x.org", "rcpt 450 4.7.1 Greylisted, try again in 60 seconds"),
        ("busy@x.org", "rcpt 421 4.3.2 "),
        ("slow@x.org", "taken at dot"),
        ("drop@x.org", "taken at dot"),
        ("full@x.org", "rcpt 452 4.2.2 "),
        ("nouser@x.org", "rcpt 550 5.1.1 "),
        ("blocked@x.org", "rcpt 554 5.7.1 "),
        ("spam@x.org", "dot 550 5.7.1 "),
        ("big@x.org", "dot 552 5.3.4 "),
        ("tlsfail@x.org", "rcpt 454 4.7.0 TLS not available"),
        ("reply-451-4.7.1@x.org", "rcpt 451 4.7.1 "),
        ("reply-550@x.org", "rcpt 550  "),
        ("reply-451-5.7.1@x.org", "rcpt 451 5.7.1 "),
    ],
)
def test_it_does_what_the_contract_says(recipient: str, expected: str) -> None:
    assert reply_to(recipient).startswith(expected)


def test_it_names_a_list_and_the_client_when_it_blocks() -> None:
    assert "[192.0.2.7] blocked using bl.sandbox.test" in reply_to("blocked@x.org", client="192.0.2.7")


@pytest.mark.parametrize("word", ["spam", "big", "drop"])
def test_it_lets_no_scenario_decide_for_other_recipients(word: str) -> None:
    assert reply_to("anna@x.org", first=word).startswith("rcpt 452 4.5.3 ")
    second = reply_to(f"{word}@x.org", first="")
    assert second.startswith("rcpt 452 4.5.3" if word == "drop" else "rcpt 55")


def test_it_greylists_a_triplet_until_its_time_has_passed() -> None:
    memory = Memory()

    def ask(now: float, client: str = "192.0.2.1", sender: str = "a@x.org") -> str:
        return reply_to("greylist@y.org", now=now, memory=memory, client=client, sender=sender)

    assert "in 60 seconds" in ask(100)
    assert "in 31 seconds" in ask(129.5)
    assert "in 60 seconds" in ask(130, client="192.0.2.2")
    assert "in 60 seconds" in ask(130, sender="b@x.org")
    assert ask(159.9).startswith("rcpt 450 4.7.1 Greylisted, try again in 1 seconds")
    assert ask(160) == "taken at rcpt"
    assert ask(9999) == "taken at rcpt"


def test_it_throttles_a_domain_after_five_mails_a_minute() -> None:
    memory = Memory()
    ask = [reply_to("throttle@y.org", now=100 + n, memory=memory) for n in range(7)]
    assert ask[:5] == ["taken at rcpt"] * 5
    assert ask[5].startswith("rcpt 421 4.7.0 More than 5 mails a minute, try again in 55 seconds")
    assert ask[6].startswith("rcpt 421 4.7.0 ")
    assert reply_to("throttle@other.org", now=106, memory=memory) == "taken at rcpt"
    assert reply_to("x@a.throttle.test", now=106, memory=memory) == "taken at rcpt"
    assert reply_to("throttle@Y.org", now=160, memory=memory) == "taken at rcpt"


def test_it_takes_other_times_and_counts() -> None:
    rules = Rules(greylist_for=5, throttle_n=1, throttle_for=2)
    memory = Memory()
    assert decide("greylist@x.org", now=0, memory=memory, rules=rules).reply is not None
    assert decide("greylist@x.org", now=5, memory=memory, rules=rules).reply is None
    said = [decide("throttle@x.org", now=now, memory=memory, rules=rules).reply for now in (0, 1, 2)]
    assert [reply is None for reply in said] == [True, False, True]


def test_it_remembers_a_bounded_number() -> None:
    memory = Memory(limit=10)
    for n in range(100):
        memory.first_seen(("", "", str(n)), n)
        memory.count(str(n), n, 60)
    assert len(memory._seen) == len(memory._got) == 10


@given(st.text(max_size=300))
def test_it_never_fails_on_any_recipient(recipient: str) -> None:
    decision = decide(recipient, now=0, memory=Memory())
    assert decision.scenario == word_of(recipient)
    if decision.reply:
        assert 400 <= decision.reply.code <= 599
