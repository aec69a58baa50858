"""Short versions of what `python -m bench faults` plays for a minute: a few seconds of load, one fault,
and the count by Message-ID. Those that have a test of their own in this folder are not repeated here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.faults.kinds import KINDS
from bench.faults.play import play
from bench.scratch import scratch

# They bring their own databases.
pytestmark = [pytest.mark.system, pytest.mark.once]
RATE, SECONDS = 60.0, 4.0


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as made:  # with a short path: unix sockets live in it
        yield made


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("name", "database"), [("everything", "sqlite"), ("journal", "sqlite")])
def test_nothing_is_lost_and_no_repeat_is_hidden(folder: Path, name: str, database: str) -> None:
    fault = KINDS[name](folder)
    if why := fault.why_missing():
        pytest.skip(why)
    found = play(name, fault, database, SECONDS, RATE, folder)
    assert found.accepted > RATE
    assert (found.lost, found.unlisted, found.wrong) == (0, 0, [])
    assert found.repeated <= found.allowed
