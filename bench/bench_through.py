"""(d) From SMTP in to SMTP out: clients submit while the system delivers."""

from __future__ import annotations

from bench.draining import collect
from bench.options import Options
from bench.rounds import Case, Sample
from bench.scratch import scratch
from bench.sink import Sink
from bench.source import Source
from bench.systems.base import Contender, by_smtp
from bench.usage import Meter

TITLE = "SMTP in to SMTP out"
_CLIENTS = (10, 50)


def cases(options: Options) -> list[Case]:
    n = options.scaled(10_000, 500)
    return [_case(n, clients) for clients in _CLIENTS]


def _case(n: int, clients: int) -> Case:
    title = f"{n:,} mails of 5 KB from {clients} clients, a connection for each mail, 20 sessions out"
    return Case(f"{clients} clients", title, lambda contender: through(contender, n, clients), takes=by_smtp)


def through(contender: type[Contender], n: int, clients: int) -> Sample:
    with scratch() as folder, Sink() as sink, contender(folder, sink.address) as system:
        system.start(delivering=True)
        some = round(n * contender.share)
        source = Source(system.smtp_address, some, clients, reconnect=contender.clients_reconnect)
        with Meter(system.roots) as meter, source:
            meter.start_counting()
            source.start()
            sample = collect(system, sink, meter, source.n)
            source.wait()
            sample.n = sink.count  # processor time was counted from the first, not from the sink's first
            sample.more["accepted_per_s"] = source.n / source.seconds
            return sample
