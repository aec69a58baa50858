"""Runs a benchmark: every system in turn, as often as asked, so that a slow minute hits all of them.

Promises: a run that fails is a sample with its reason, and the others go on; what is missing is said
and left out; nothing that a run started is left when it ends, whatever ended it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.sink import Stalled
from bench.systems.base import Contender, Failed


@dataclass
class Sample:
    """One run of one system. `rate` in the case's unit; `n` is how many things that is about."""

    rate: float = 0.0
    n: int = 0
    seconds: float = 0.0
    cpu_seconds: float | None = None
    largest_mb: float | None = None
    largest_name: str = ""
    runner_mb: float | None = None
    sink_busy: float | None = None
    lost: int | None = None
    repeated: int | None = None
    more: dict[str, float] = field(default_factory=dict)
    error: str = ""

    @property
    def cpu_per_1000(self) -> float | None:
        return self.cpu_seconds / self.n * 1000 if self.cpu_seconds is not None and self.n else None

    def shown(self) -> dict[str, Any]:
        return {**asdict(self), "cpu_per_1000": self.cpu_per_1000}


Measure = Callable[[type[Contender]], Sample]


@dataclass(frozen=True)
class Case:
    """One line of questions: the same for every system. `is_higher_better` tells what a ratio means."""

    name: str
    title: str
    measure: Measure
    unit: str = "mails/s"
    is_higher_better: bool = True
    takes: Callable[[type[Contender]], bool] = lambda contender: True


@dataclass
class Outcome:
    """All samples of a case, by the system's label, in the order they were taken."""

    case: Case
    samples: dict[str, list[Sample]]


def play(case: Case, contenders: list[type[Contender]], runs: int, say: Callable[[str], None]) -> Outcome:
    outcome = Outcome(case, {each.label: [] for each in contenders})
    for number in range(1, runs + 1):
        for contender in contenders:
            began = time.monotonic()
            sample = attempt(case.measure, contender)
            outcome.samples[contender.label].append(sample)
            what = first_and_last(sample.error) or f"{sample.rate:,.1f} {case.unit}"
            took = time.monotonic() - began
            say(f"   run {number} of {runs}  {contender.label:18} {what}  ({took:.0f} s in all)")
    return outcome


def first_and_last(text: str) -> str:
    """Of a long error the lines that tell most; the whole stands in the JSON."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " … ".join([lines[0], *lines[-1:]] if len(lines) > 1 else lines)[:600]


def attempt(measure: Measure, contender: type[Contender]) -> Sample:
    try:
        return measure(contender)
    except (Failed, Stalled, OSError, AssertionError) as error:
        return Sample(error=f"{type(error).__name__}: {error}")


def usable(contenders: list[type[Contender]], say: Callable[[str], None]) -> list[type[Contender]]:
    """Those that can run here; says why the others can't."""
    chosen = []
    for each in contenders:
        reason = each.why_missing()
        if reason:
            say(f"   without {each.label}: {reason}")
        else:
            chosen.append(each)
    return chosen
