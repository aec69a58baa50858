"""The instruments of what is played in whole systems: figures, forms and names, without a system."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bench.alarms import command as alarms
from bench.alarms.letters import Letter, Pings
from bench.blocks.receiver import BlockingSink
from bench.browsing import _values
from bench.causes import command as causes
from bench.floods.traffic import told

pytestmark = pytest.mark.once


def test_the_longest_time_without_a_ping_counts_its_ends() -> None:
    pings = Pings()
    pings.times += [10.0, 70.0, 130.0]
    assert pings.longest_gap(0.0, 140.0) == 60.0
    assert pings.longest_gap(65.0, 300.0) == 170.0
    pings._server.server_close()


def test_a_resolved_mail_is_known_by_its_subject() -> None:
    letter = Letter(0.0, "a@example.com", "[host] Resolved: Redis does not answer", "<1@x>", "<0@x>", "")
    assert letter.is_resolved


def test_what_is_blocked_and_taken_is_counted_by_the_second_and_by_whom() -> None:
    sink, began = BlockingSink("127.0.0.1"), time.monotonic()
    sink.blocked = {"127.0.0.2": "554 5.7.1"}
    reply = sink._answer("RCPT", "127.0.0.2 RCPT TO:<a@x.test>")
    assert reply is not None
    assert reply.startswith("554 5.7.1 Service unavailable; Client host [127.0.0.2]")
    assert sink._answer("MAIL", "127.0.0.2 MAIL FROM:<>") is None
    sink.taken += [(began + 0.1, "127.0.0.3"), (began + 0.2, "127.0.0.3"), (began + 2.5, "127.0.0.4")]
    assert sink.per_second(began, 3) == [2, 0, 1]
    assert sink.since(began + 1) == {"127.0.0.4": 1}
    assert len(sink.refused) == 1


def test_a_form_is_filled_in_with_what_it_hides() -> None:
    form = (
        '<form><input type="hidden" name="expect" value="7"><input name="reason" value="A &amp; B" required>'
    )
    form += '<input type="checkbox" name="all" value="yes"></form>'
    assert _values(form) == {"expect": "7", "reason": "A & B"}


def test_percentiles_are_in_milliseconds() -> None:
    assert told([0.001] * 99 + [1.0]) == pytest.approx((1.0, 1.0), abs=0.1)
    assert told([]) == (0.0, 0.0)


@pytest.mark.parametrize("play", [alarms, causes])
def test_a_name_that_is_none_is_told_with_those_there_are(
    play: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        play.parse(["moon"])
    assert raised.value.code == 2
    assert "'moon'" in capsys.readouterr().err
