"""docs/states.md and docs/stuck.md know every state, every class and the retry schedule."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from queueapp import conf
from queueapp.engine import backoff
from queueapp.mail.backoff import retry_in
from queueapp.mail.classify import CLASSES, ClassInfo
from queueapp.models import State
from tests.docs.pages import ROOT, page

STATES = page("docs/states.md")
STUCK = page("docs/stuck.md")
ROWS = {row[0]: row for row in STATES.rows("Class")}
KIND = {True: "permanent", False: "temporary", None: "by the code"}


def expected(info: ClassInfo) -> list[str]:
    suppresses = "yes" if info.suppresses else "no"
    return [info.name, KIND[info.is_permanent], info.fault, suppresses, info.sentence, info.advice]


@pytest.mark.parametrize("info", CLASSES.values(), ids=lambda info: info.name)
def test_each_class_is_told_as_it_is(info: ClassInfo) -> None:
    row = " | ".join(expected(info))
    assert ROWS.get(info.name) == expected(info), f"docs/states.md needs the row: | {row} |"


def test_no_class_is_made_up() -> None:
    assert set(ROWS) == set(CLASSES)


@pytest.mark.parametrize("state", State.values)
def test_each_state_is_told(state: str) -> None:
    assert state in {row[0] for row in STATES.rows("State")}


def test_moves_are_between_known_states() -> None:
    rows = list(STATES.rows("From"))
    named = {word for row in rows for cell in row[:2] for word in re.findall(r"\w+", cell)}
    assert named - {"new", "gone"} <= set(State.values)
    # Deleting and restoring come with the queue manager.
    assert set(State.values) - named == set()


def test_the_retry_schedule_is_the_real_one() -> None:
    settings = conf.load({})
    first, cap = settings.retry_first.total_seconds(), settings.retry_cap.total_seconds()
    since = 0.0
    for attempt, wait, age in STATES.rows("After attempt"):
        seconds = retry_in(int(attempt), first=first, cap=cap, jitter=0)
        since += seconds
        assert (_seconds(wait), _seconds(age)) == (seconds, since)


def test_the_sites_back_off_is_the_real_one() -> None:
    text = STATES.section("When a whole site backs off")
    assert f"{int(backoff._FIRST.total_seconds())} seconds" in text
    assert f"{int(backoff._CAP.total_seconds() // 60)} minutes" in text


def _seconds(text: str) -> float:
    units = {"d": "days", "h": "hours", "m": "minutes"}
    parts = {units[unit]: float(number) for number, unit in re.findall(r"(\d+)([dhm])", text)}
    return timedelta(**parts).total_seconds()


@pytest.mark.parametrize("name", [name for name in CLASSES if name != "delivered"])
def test_the_guide_knows_each_class(name: str) -> None:
    assert f"`{name}`" in STUCK.text


def test_the_guide_quotes_what_the_page_says() -> None:
    source = (ROOT / "dashboard/snapshot/headline.py").read_text()
    quoted = re.findall(r'^## "?(.*".*)$', STUCK.prose, re.MULTILINE)
    parts = [part.strip(' "…') for heading in quoted for part in re.split('" or "', heading)]
    assert len(parts) >= 5
    assert [part for part in parts if _unquoted(part) not in _unquoted(source)] == []


def _unquoted(text: str) -> str:
    """Without what Python puts between the halves of a long text, or for one and many."""
    return re.sub(r"\{.*?\}|[^a-z]", "", text.lower())
