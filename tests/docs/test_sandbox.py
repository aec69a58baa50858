"""docs/sandbox.md tells every scenario with the reply that the sandbox gives."""

from __future__ import annotations

import pytest

from queueapp.sandbox.scenarios import WORDS, Memory, Rules, decide, word_of
from tests.docs.pages import page

DOCUMENT = page("docs/sandbox.md")
ROWS = {row[0]: row for row in DOCUMENT.rows("Word")}


def replies(word: str) -> set[str]:
    """Every reply that the word gets, from its first mail to its tenth."""
    memory, given = Memory(), set()
    for _ in range(10):
        decision = decide(f"ann+{word}@example.com", now=0.0, memory=memory)
        given.add(f"{decision.reply.code} {decision.reply.enhanced}".strip() if decision.reply else "250")
    return given


def test_every_word_is_there_and_none_is_made_up() -> None:
    assert set(ROWS) == {*WORDS, "reply-CODE", "reply-CODE-ENHANCED"}


@pytest.mark.parametrize("word", sorted(WORDS))
def test_its_reply_is_the_real_one(word: str) -> None:
    told = ROWS[word][1]
    if word == "drop":
        assert told == "none"
        return
    assert set(told.split(", ")) == replies(word)


def test_its_figures_are_the_real_ones() -> None:
    rules = Rules()
    assert f"{rules.greylist_for:.0f} seconds" in ROWS["greylist"][2]
    assert f"{rules.throttle_n} mails" in ROWS["throttle"][2]
    assert f"{rules.slow_for:.0f} seconds" in ROWS["slow"][2]


@pytest.mark.parametrize("row", list(DOCUMENT.rows("Address")), ids=lambda row: row[0])
def test_addresses_choose_what_is_told(row: list[str]) -> None:
    assert word_of(row[0]) == row[1].replace("taken", "")
