"""(g) The way of a single mail, from the first byte of the client to the final dot at the receiver.

One mail at a time, each to a domain of its own, sent when the one before is through; on an idle system,
and on one that takes and delivers 200 mails a second meanwhile. Both clocks are the machine's monotonic
one. Peers take it by SMTP only.
"""

from __future__ import annotations

import smtplib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from bench.http import post_one
from bench.mails import SENDER, Mails
from bench.options import Options
from bench.rounds import Case, Sample
from bench.scratch import scratch
from bench.sink import SlowSink
from bench.systems.base import ROOT, Contender, by_smtp, ours
from bench.usage import Meter
from tests.processes import die_with_parent

TITLE = "a single mail on an idle and on a loaded system"
RATE, PAUSE = 200, 0.1
Send = Callable[[Any, str, bytes], None]


def cases(options: Options) -> list[Case]:
    n = options.scaled(30, 5)
    return [
        _case("idle, by SMTP", n, by_smtp_client, is_loaded=False),
        _case("idle, by HTTP", n, by_http, is_loaded=False),
        _case(f"{RATE} mails/s beside it, by SMTP", n, by_smtp_client, is_loaded=True),
    ]


def _case(name: str, n: int, send: Send, *, is_loaded: bool) -> Case:
    def measure(contender: type[Contender]) -> Sample:
        return latency(contender, n, send, is_loaded=is_loaded)

    takes = ours if send is by_http else by_smtp
    return Case(name, f"{n} single mails, {name}", measure, "ms", is_higher_better=False, takes=takes)


def by_smtp_client(system: Contender, recipient: str, content: bytes) -> None:
    with smtplib.SMTP(*system.smtp_address) as client:
        client.sendmail(SENDER, [recipient], content)


def by_http(system: Any, recipient: str, content: bytes) -> None:
    post_one(system.http, system.key, recipient, content.decode())


def latency(contender: type[Contender], n: int, send: Send, *, is_loaded: bool) -> Sample:
    mails = Mails(n, n, prefix="probe")
    with (
        scratch() as folder,
        SlowSink("--watch", "probe-") as sink,
        contender(folder, sink.address) as system,
    ):
        system.start(delivering=True)
        one(system, sink, send, "probe-warm@probe.bench.test", mails.content(0))
        load = Background(system.smtp_address) if is_loaded else nullcontext()
        with Meter(system.roots) as meter, load:
            time.sleep(2.0 if is_loaded else 0.2)
            took = []
            for number in range(n):
                recipient = f"probe-{number}@probe{number}.bench.test"
                took.append(one(system, sink, send, recipient, mails.content(number)))
                time.sleep(PAUSE)
            sample = Sample(rate=statistics.median(took), n=n, seconds=sum(took) / 1000)
            sample.largest_mb, sample.runner_mb = meter.largest_mb, meter.runner_mb or None
            sample.more = {"p90_ms": sorted(took)[int(n * 0.9)], "worst_ms": max(took)}
            return sample


def one(system: Contender, sink: SlowSink, send: Send, recipient: str, content: bytes) -> float:
    """Milliseconds."""
    began = time.monotonic()
    send(system, recipient, content)
    return (sink.wait_for_recipient(recipient) - began) * 1000


class Background(AbstractContextManager["Background"]):
    """Clients that submit so many mails a second until the block ends."""

    def __init__(self, address: tuple[str, int], rate: int = RATE) -> None:
        self.address = address
        self.rate = rate

    def __enter__(self) -> Background:
        host, port = self.address
        arguments = [host, str(port), "10", str(self.rate), *Mails(self.rate * 3600).arguments()]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.push", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        return self

    def __exit__(self, *_: object) -> None:
        is_alive = self.process.poll() is None
        self.process.kill()
        self.process.wait()
        assert is_alive or sys.exc_info()[0], "the load beside the single mails ended early"
