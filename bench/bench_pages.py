"""(l) Pages at a large queue: the list by each key, order and group, deep pages, the overview, the board, and
every other page and answer of the API that reads what grows with the queue.

Asked over HTTP of the running system, while it takes and delivers 20 mails a second. The figure is the
95th percentile of the slowest kind of page; the lines below it name the slowest. By default 100,000 rows
over 2,000 domains, with --full a million over 20,000. What a page can't look through in time it says so:
that is part of the figure, and so is bounded.

BENCH_ALL=1 lists every kind; BENCH_ONLY=REGEX asks only for kinds that it finds, BENCH_TIMES=N so often,
BENCH_KEEP=FOLDER keeps the filled queue (bench/large.py).
"""

from __future__ import annotations

import json
import math
import os
import time
from typing import Any

from bench.bench_latency import Background
from bench.large import large
from bench.options import Options
from bench.rounds import Case, Outcome, Sample
from bench.sink import SlowSink
from bench.systems.base import ours
from bench.usage import Meter

TITLE = "the list, its searches, orders and groups, the overview, and all other pages"
BAR, OVERVIEW_BAR = 300.0, 200.0  # milliseconds, the 95th percentile
RATE = 20
_SLOWEST = 12

_told: dict[str, dict[str, list[float]]] = {}


def cases(options: Options) -> list[Case]:
    rows, domains = (1_000_000, 20_000) if options.is_full else (100_000, 2_000)
    rows = options.scaled(rows, 1_000)
    times = int(os.environ.get("BENCH_TIMES", "") or options.scaled(20, 2))
    title = f"{rows:,} deliveries over {domains:,} domains, each page {times} times, {RATE} mails/s beside it"
    return [
        Case(f"{rows} rows", title, lambda each: pages(each, rows, domains, times), "ms", False, takes=ours)
    ]


def pages(contender: Any, rows: int, domains: int, times: int) -> Sample:
    only = os.environ.get("BENCH_ONLY", "")
    with SlowSink() as sink, large(contender, sink.address, rows, domains) as system:
        with Meter(system.roots) as meter, Background(system.smtp_address, RATE):
            time.sleep(2)
            began, n, load = time.monotonic(), sink.count, machine_seconds()
            said = system.fill(system.http, str(times), only, module="bench.ask_pages")
            seconds = time.monotonic() - began
            delivered = (sink.count - n) / seconds
            busy = (machine_seconds() - load) / seconds / (os.cpu_count() or 1)
        took = dict(map(json.loads, said.splitlines()))
    _told.setdefault(contender.label, {}).update(took)
    worst = max((percentile(each) for name, each in took.items() if name != "overview"), default=0.0)
    sample = Sample(rate=worst, n=sum(map(len, took.values())), seconds=seconds)
    sample.largest_mb = meter.largest_mb
    sample.more = {
        **{f"{word}_ms": percentile(took[name]) for word, name in _NAMED.items() if name in took},
        "n_over_bar": sum(percentile(each) > bar(name) for name, each in took.items()),
        "n_kinds": len(took),
        "delivered_per_s": delivered,
        "machine_busy": busy,
    }
    return sample


_NAMED = {"first_page": "list, first page", "deep_page": "list, deep page", "overview": "overview",
          "board": "board", "snapshot": "snapshot"}  # fmt: skip


def bar(name: str) -> float:
    return OVERVIEW_BAR if name == "overview" else BAR


def machine_seconds() -> float:
    """Processor time of everything on this machine so far: what else ran is part of a figure."""
    with open("/proc/stat") as stat:
        user, nice, system, *_ = map(int, stat.readline().split()[1:])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float = 0.95) -> float:
    """The smallest value that so many are not above."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def conclusions(outcomes: list[Outcome]) -> list[str]:
    """The slowest kinds of each system; all of them with BENCH_ALL=1."""
    lines = []
    for label, took in _told.items():
        kinds = sorted(((percentile(each), percentile(each, 0.5), name) for name, each in took.items()))[::-1]
        n_over = sum(ms > bar(name) for ms, _, name in kinds)
        lines.append(f"{label}: {n_over} of {len(kinds)} kinds of page are over the bar; the slowest:")
        shown = kinds if os.environ.get("BENCH_ALL") else kinds[:_SLOWEST]
        lines += [f"  {ms:7.1f} ms  (half of them {half:.1f})  {name}" for ms, half, name in shown]
    return lines
