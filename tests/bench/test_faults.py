"""The instruments of `python -m bench faults`: load, sink and book, without a system between them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from bench.faults.book import Finding, count
from bench.faults.command import NAMES
from bench.faults.kinds import ClockBack
from bench.faults.load import Load, recipient
from bench.faults.sink import RecordingSink
from tests.docs.pages import page
from tests.system import ROOT


def wait_for(n: int, sink: RecordingSink) -> None:
    end = time.monotonic() + 20
    while sink.received.total() < n and time.monotonic() < end:
        time.sleep(0.01)


def test_what_is_accepted_is_what_the_sink_got() -> None:
    with RecordingSink() as sink, Load(lambda: sink.address, 200) as load:
        wait_for(50, sink)
        load.stop()
        assert len(load.accepted) >= 50
        assert load.accepted.keys() == sink.received.keys() == sink.first_at.keys()
        assert set(sink.received.values()) == {1}
    assert (load.unsure, load.n_refused, sink.n_strangers) == (set(), 0, 0)


def test_a_mail_without_an_answer_is_neither_accepted_nor_offered_again() -> None:
    with RecordingSink() as sink, Load(lambda: sink.address, 200) as load:
        sink.behave("close")
        wait_for(20, sink)
        load.stop()
        assert load.accepted == {}
        assert load.unsure == sink.received.keys()
        assert set(sink.received.values()) == {1}


def test_the_book_finds_what_is_lost_repeated_and_not_listed() -> None:
    found = Finding("x", "sqlite", allowed=2)
    accepted = {1: 10.0, 2: 11.0, 3: 12.0, 4: 21.0}
    first_at = {1: 10.5, 2: 25.0, 4: 21.5, 9: 11.0}
    count(found, accepted, Counter({1: 2, 2: 1, 4: 3, 9: 1}), first_at, {recipient(1)}, healed_at=20.0)
    assert (found.lost, found.repeated, found.unlisted, found.ambiguous) == (1, 3, 1, 1)
    assert (found.again, found.caught_up) == (1.5, 5.0)
    assert not found.is_good


def test_more_repeats_than_allowed_are_not_good_though_they_are_listed() -> None:
    found = Finding("x", "sqlite", allowed=1)
    count(found, {1: 1.0}, Counter({1: 3}), {1: 1.0}, {recipient(1)}, healed_at=2.0)
    assert (found.lost, found.unlisted, found.repeated) == (0, 0, 2)
    assert not found.is_good


def test_every_fault_is_documented() -> None:
    text = page("docs/benchmarks.md").path.read_text()
    assert [name for name in NAMES if f"`{name}`" not in text] == []


def test_a_wrong_name_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "faults", "runer"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "'runer'" in done.stderr
    assert "runner" in done.stderr


def test_the_clock_of_the_processes_is_set_back_and_that_of_their_waits_goes_on(tmp_path: Path) -> None:
    fault = ClockBack(tmp_path)
    if missing := fault.why_missing():
        pytest.skip(missing)
    told = "import time; n = time.monotonic(); time.sleep(0.01); print(time.time(), time.monotonic() - n)"
    command, environment = [sys.executable, "-c", told], {**os.environ, **fault.environment()}

    def shown() -> tuple[float, float]:
        wall, slept = subprocess.check_output(command, env=environment, text=True).split()
        return float(wall) - time.time(), float(slept)

    off, _ = shown()
    assert abs(off) < 30
    fault.begin(None)  # type: ignore[arg-type]
    off, slept = shown()
    assert abs(off + 3600) < 30
    assert 0.01 <= slept < 30
