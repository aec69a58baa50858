"""(l) Pages at a large queue: the list by each key, order and group, deep pages, and the overview.

Asked over HTTP of the running system, while it takes and delivers 20 mails a second. The figure is the
95th percentile of the slowest kind of page; the lines below it name the slowest. By default 100,000 rows
over 2,000 domains, with --full a million over 20,000. What a page can't look through in time it says so:
that is part of the figure, and so is bounded.
"""

from __future__ import annotations

import json
import math
import os
import time
from typing import Any

from bench.bench_latency import Background
from bench.options import Options
from bench.rounds import Case, Outcome, Sample
from bench.scratch import scratch
from bench.sink import SlowSink
from bench.systems.base import ours
from bench.usage import Meter

TITLE = "the list, its searches, orders and groups, and the overview"
BAR, OVERVIEW_BAR = 300.0, 200.0  # milliseconds, the 95th percentile
RATE = 20
_SLOWEST = 12

_told: dict[str, dict[str, list[float]]] = {}


def cases(options: Options) -> list[Case]:
    rows, domains = (1_000_000, 20_000) if options.is_full else (100_000, 2_000)
    rows = options.scaled(rows, 1_000)
    times = options.scaled(20, 2)
    title = f"{rows:,} deliveries over {domains:,} domains, each page {times} times, {RATE} mails/s beside it"
    return [
        Case(f"{rows} rows", title, lambda each: pages(each, rows, domains, times), "ms", False, takes=ours)
    ]


def pages(contender: Any, rows: int, domains: int, times: int) -> Sample:
    with scratch() as folder, SlowSink() as sink, contender(folder, sink.address) as system:
        system.start(delivering=True)
        system.fill(str(rows), str(domains), module="bench.fill_pages")
        with Meter(system.roots) as meter, Background(system.smtp_address, RATE):
            time.sleep(2)
            began = time.monotonic()
            said = system.fill(system.http, str(times), module="bench.ask_pages")
            seconds = time.monotonic() - began
        took = dict(map(json.loads, said.splitlines()))
    _told.setdefault(contender.label, {}).update(took)
    worst = max(percentile(each) for name, each in took.items() if name != "overview")
    sample = Sample(rate=worst, n=sum(map(len, took.values())), seconds=seconds)
    sample.largest_mb = meter.largest_mb
    sample.more = {
        "first_page_ms": percentile(took["list, first page"]),
        "deep_page_ms": percentile(took["list, deep page"]),
        "overview_ms": percentile(took["overview"]),
        "n_over_bar": sum(percentile(each) > BAR for each in took.values()),
    }
    return sample


def percentile(values: list[float], share: float = 0.95) -> float:
    """The smallest value that so many are not above."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def conclusions(outcomes: list[Outcome]) -> list[str]:
    """The slowest kinds of each system; all of them with BENCH_ALL=1."""
    lines = []
    for label, took in _told.items():
        kinds = sorted(((percentile(each), name) for name, each in took.items()), reverse=True)
        n_over = sum(ms > (OVERVIEW_BAR if name == "overview" else BAR) for ms, name in kinds)
        lines.append(f"{label}: {n_over} of {len(kinds)} kinds of page are over the bar; the slowest:")
        shown = kinds if os.environ.get("BENCH_ALL") else kinds[:_SLOWEST]
        lines += [f"  {ms:7.1f} ms  {name}" for ms, name in shown]
    return lines
