"""How a drain is measured, for every benchmark that starts from a loaded queue.

The system takes all mails while it sends none, is started anew, and sends. Time runs from the first
mail at the sink to the last, so nobody's start counts; processor time is counted from the same moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bench.mails import Mails
from bench.rounds import Sample
from bench.scratch import scratch
from bench.sink import Sink, Stalled
from bench.systems.base import USUAL, Contender, Failed, Wishes
from bench.usage import Meter


def drain(
    contender: type[Contender],
    mails: Mails,
    wishes: Wishes = USUAL,
    make_sink: Callable[[], Sink] = Sink,
    tries: int = 1,
) -> Sample:
    """`tries`: how often the sink must have seen each mail."""
    mails = replace(mails, n=max(1, round(mails.n * contender.share)))
    with scratch() as folder, make_sink() as sink, contender(folder, sink.address, wishes) as system:
        system.start(delivering=False)
        system.load(mails)
        if sink.count:
            raise Failed(f"{sink.count} mails went out while the queue was loaded")
        system.start(delivering=True)
        with Meter(system.roots) as meter:
            sink.wait_for_first()
            meter.start_counting()
            return collect(system, sink, meter, mails.n * tries)


def collect(system: Contender, sink: Sink, meter: Meter, n: int) -> Sample:
    """Wait for the rest; what was seen at the sink and in /proc."""
    try:
        sink.wait_for(n)
    except Stalled as error:
        raise Stalled(f"{error}\n{system.sign_of_trouble()}") from None
    sample = Sample(rate=sink.rate, n=sink.count - sink.first_count, seconds=sink.seconds)
    sample.cpu_seconds = meter.cpu()
    meter.look()
    sample.largest_mb, sample.largest_name = meter.largest_mb, meter.largest_name
    sample.runner_mb, sample.sink_busy = meter.runner_mb or None, sink.busy
    sample.lost, sample.repeated = max(0, n - sink.count), max(0, sink.count - n)
    return sample
