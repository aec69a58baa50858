"""(j) Message 1,000,001 is accepted as fast as message 1: SMTP in, on an empty queue and on a full one.

Nothing is delivered, so only the way in is measured. By default the queue holds 100,000 rows, with
--full a million. Two systems stand side by side, one empty, one filled, and take their mails in turn, the
order changed each time: so what a busy machine or a slow disk does in a minute it does to both.
"""

from __future__ import annotations

import statistics
from typing import Any

from bench.mails import Mails
from bench.options import Options
from bench.rounds import Case, Sample
from bench.scratch import scratch
from bench.source import Source
from bench.systems.base import ours
from bench.usage import Meter

TITLE = "accepting into an empty queue and into a full one"
_CLIENTS = 10
_TURNS = 6


def cases(options: Options) -> list[Case]:
    rows = options.scaled(1_000_000 if options.is_full else 100_000)
    n = options.scaled(2_000, 300)
    title = f"{n:,} mails of 5 KB from {_CLIENTS} clients, {_TURNS} turns: empty, and with {rows:,} waiting"
    return [Case(f"{rows} rows", title, lambda contender: growth(contender, n, rows), takes=ours)]


def growth(contender: Any, n: int, rows: int) -> Sample:
    """The rate is that of the full queue; `empty_to_full` is how much longer it takes there. So is
    `cpu_empty_to_full` for processor time, which other work on the machine hardly touches."""
    with (
        scratch() as folder,
        scratch() as other,
        contender(folder, ("127.0.0.1", 9)) as empty,
        contender(other, ("127.0.0.1", 9)) as full,
    ):
        both = (empty, full)
        for system in both:
            system.start(delivering=False)
        full.fill(*Mails(rows, 1000, size=500, prefix="row").arguments(), module="bench.fill_waiting")
        for system in both:  # warm
            accepted(system, n)
        seconds: dict[Any, list[float]] = {system: [] for system in both}
        cpu: dict[Any, list[float]] = {system: [] for system in both}
        largest = 0.0
        for turn in range(_TURNS):
            for system in both if turn % 2 else reversed(both):
                with Meter(system.roots) as meter:
                    seconds[system].append(n / accepted(system, n))
                    cpu[system].append(meter.cpu())
                largest = max(largest, meter.largest_mb)
        took = {system: statistics.median(found) for system, found in seconds.items()}
        used = {system: statistics.median(found) for system, found in cpu.items()}
        sample = Sample(rate=n / took[full], n=n, seconds=took[full], cpu_seconds=used[full])
        sample.largest_mb = largest
        sample.more = {
            "empty_per_s": n / took[empty],
            "empty_to_full": took[full] / took[empty],
            "cpu_empty_to_full": used[full] / used[empty],
        }
        return sample


def accepted(system: Any, n: int) -> float:
    """Mails accepted a second."""
    with Source(system.smtp_address, n, _CLIENTS) as source:
        source.start()
        source.wait()
        return source.n / source.seconds
