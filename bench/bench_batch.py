"""(f) A batch of recipients is put into the queue by one call. Time must grow in proportion."""

from __future__ import annotations

import json
from typing import Any

from bench.options import Options
from bench.report import proportions
from bench.rounds import Case, Outcome, Sample
from bench.scratch import scratch
from bench.systems.base import Wishes, ours
from bench.usage import Meter

TITLE = "one message to 100,000 recipients, by one call of the gate"
_SIZES = (10_000, 50_000, 100_000)
_WISHES = Wishes(settings={"MAILWEIR_MAX_RECIPIENTS": "100000"})


def cases(options: Options) -> list[Case]:
    return [_case(min(options.scaled(n), 100_000)) for n in _SIZES]


def _case(n: int) -> Case:
    title = f"{n:,} recipients in 50 domains; nothing is delivered meanwhile"
    return Case(f"{n} recipients", title, lambda contender: batch(contender, n), "recipients/s", takes=ours)


def batch(contender: Any, n: int) -> Sample:
    with scratch() as folder, contender(folder, ("127.0.0.1", 9), _WISHES) as system:
        system.start(delivering=False)
        with Meter(system.roots) as meter:
            told = json.loads(system.fill(str(n), "50", module="bench.fill_one"))
            cpu = meter.cpu() + told["cpu_seconds"]
        sample = Sample(rate=n / told["seconds"], n=n, seconds=told["seconds"], cpu_seconds=cpu)
        sample.largest_mb = max(meter.largest_mb, told["peak_mb"])
        sample.more = {"seconds_of_the_call": told["seconds"], "caller_peak_mb": told["peak_mb"]}
        return sample


def conclusions(outcomes: list[Outcome]) -> list[str]:
    return proportions(outcomes)
