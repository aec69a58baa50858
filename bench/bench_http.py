"""(e) HTTP in: clients post JSON while the system delivers. No peer has this way in."""

from __future__ import annotations

import threading
from typing import Any

from bench.draining import collect
from bench.mails import Mails
from bench.options import Options
from bench.rounds import Case, Sample
from bench.scratch import scratch
from bench.sink import Sink
from bench.systems.base import Failed, ours, run_module
from bench.usage import Meter

TITLE = "HTTP in to SMTP out"
_CLIENTS = (10, 50)


def cases(options: Options) -> list[Case]:
    mails = Mails(options.scaled(5_000, 500))
    return [_case(mails, clients) for clients in _CLIENTS]


def _case(mails: Mails, clients: int) -> Case:
    title = f"{mails.n:,} mails of 5 KB from {clients} clients on kept connections"
    return Case(f"{clients} clients", title, lambda contender: posted(contender, mails, clients), takes=ours)


def posted(contender: Any, mails: Mails, clients: int) -> Sample:
    with scratch() as folder, Sink() as sink, contender(folder, sink.address) as system:
        system.start(delivering=True)
        arguments = [system.http, system.key, str(clients), *mails.arguments()]
        said: list[str] = []

        def load() -> None:
            try:
                said.append(run_module("bench.http", *arguments))
            except Failed as error:
                said.append(str(error))

        # A thread that waits; the kernel ends its child with it, so it has to live until the end.
        loading = threading.Thread(target=load, daemon=True)
        with Meter(system.roots) as meter:
            meter.start_counting()
            loading.start()
            sample = collect(system, sink, meter, mails.n)
        loading.join(60)
        sample.n = sink.count
        sample.more["accepted_per_s"] = mails.n / float(said[0])
        return sample
