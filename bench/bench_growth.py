"""(j) Message 1,000,001 is accepted as fast as message 1: SMTP in, on an empty queue and on a full one.

Nothing is delivered, so only the way in is measured. By default the queue holds 100,000 rows,
with --full a million.
"""

from __future__ import annotations

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


def cases(options: Options) -> list[Case]:
    rows = options.scaled(1_000_000 if options.is_full else 100_000)
    n = options.scaled(3_000, 300)
    title = f"{n:,} mails of 5 KB from {_CLIENTS} clients, first empty, then with {rows:,} mails waiting"
    return [Case(f"{rows} rows", title, lambda contender: growth(contender, n, rows), takes=ours)]


def growth(contender: Any, n: int, rows: int) -> Sample:
    """The rate is that of the full queue; `empty_to_full` is how much longer it takes there."""
    with scratch() as folder, contender(folder, ("127.0.0.1", 9)) as system:
        system.start(delivering=False)
        accepted(system, n)  # both sides of the comparison find a system that is warm
        empty = accepted(system, n)
        system.load(Mails(rows, 1000, size=500, prefix="row"))
        with Meter(system.roots) as meter:
            meter.start_counting()
            full = accepted(system, n)
            sample = Sample(rate=full, n=n, seconds=n / full, cpu_seconds=meter.cpu())
        sample.largest_mb = meter.largest_mb
        sample.more = {"empty_per_s": empty, "empty_to_full": empty / full}
        return sample


def accepted(system: Any, n: int) -> float:
    """Mails accepted a second."""
    with Source(system.smtp_address, n, _CLIENTS) as source:
        source.start()
        source.wait()
        return source.n / source.seconds
