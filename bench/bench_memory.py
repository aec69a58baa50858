"""Memory of a runner beside a deep queue: what waits must not be held in it.

The queue is filled with 100,000 mails and, in a run of its own with --full, with a million; then runners
deliver for most of a life to a sink, and the most that one had resident (VmHWM) is read from /proc. With
one domain and with a thousand: a claim sees either a deep line or many short ones.
"""

from __future__ import annotations

import time
from typing import Any

from bench.mails import Mails
from bench.options import Options
from bench.rounds import Case, Sample
from bench.scratch import scratch
from bench.sink import Sink
from bench.systems.base import Failed, ours
from bench.usage import Meter

TITLE = "memory of a runner beside a deep queue"
SECONDS = 40.0
# (mails, domains)
_SIZES = ((100_000, 1_000), (100_000, 1))
_FULL = (1_000_000, 1_000)


def cases(options: Options) -> list[Case]:
    sizes = (*_SIZES, _FULL) if options.is_full else _SIZES
    return [_case(options.scaled(n), n_domains) for n, n_domains in sizes]


def _case(n: int, n_domains: int) -> Case:
    mails = Mails(n, n_domains, size=1_000)
    title = f"{n:,} mails wait for {n_domains:,} domains; runners deliver for {SECONDS:.0f} s"
    return Case(
        f"{n} mails, {n_domains} domains",
        title,
        lambda contender: memory(contender, mails),
        "MB of the largest runner",
        is_higher_better=False,
        takes=ours,
    )


def memory(contender: Any, mails: Mails, seconds: float = SECONDS) -> Sample:
    """`rate` is the peak of the largest runner in MB; `n` how many mails went out meanwhile."""
    with scratch() as folder, Sink() as sink, contender(folder, sink.address) as system:
        system.start(delivering=False)
        system.fill(*mails.arguments(), module="bench.fill_waiting")
        system.start(delivering=True)
        with Meter(system.roots) as meter:
            sink.wait_for_first()
            meter.start_counting()
            end = time.monotonic() + seconds
            while time.monotonic() < end and sink.count < mails.n:
                time.sleep(0.1)
            meter.look()
            if not meter.runner_mb:
                raise Failed(f"no runner was seen\n{system.sign_of_trouble()}")
            sample = Sample(rate=meter.runner_mb, n=sink.count, seconds=sink.seconds)
            sample.cpu_seconds, sample.runner_mb = meter.cpu(), meter.runner_mb
            sample.largest_mb, sample.largest_name = meter.largest_mb, meter.largest_name
            sample.more = {"mails_per_s": sink.rate}
            return sample
