"""(h) Many open dashboards: how soon each one shows a change, and what serving them costs. No peer has these.

`within 1.5 s` is over all sockets and all changes; the web process is one of several in `manage.py up`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.options import Options
from bench.rounds import Case, Sample
from bench.scratch import scratch
from bench.sink import Sink
from bench.systems.base import Failed, ours
from bench.usage import Meter

TITLE = "Open dashboards, and changes to the queue"
_SOCKETS = (50, 300)
_CHANGES_PER_S = 200
_SECONDS = 20


def cases(options: Options) -> list[Case]:
    return [_case(n, max(5, int(_SECONDS * options.scale))) for n in _SOCKETS]


def _case(n: int, seconds: int) -> Case:
    title = f"{n} sockets, {_CHANGES_PER_S} changes a second for {seconds} s"
    return Case(
        f"{n} sockets", title, lambda contender: watched(contender, n, seconds), unit="texts/s", takes=ours
    )


def watched(contender: Any, n: int, seconds: int) -> Sample:
    with scratch() as folder, Sink() as sink, contender(folder, sink.address) as system:
        system.start(delivering=False)
        arguments = [system.http, str(n), str(seconds), str(_CHANGES_PER_S), str(web_pid(system))]
        with Meter(system.roots) as meter:
            told = json.loads(system.fill(*arguments, module="bench.watch"))
        if told["seen"] < 1:
            raise Failed(f"only {told['seen']:.2%} of the changes were seen by all sockets")
        names = ("within", "p50", "p99", "longest", "web_cpu", "mb_per_s", "changes")
        return Sample(
            rate=told["texts_per_s"],
            n=round(told["texts_per_s"] * told["seconds"]),
            seconds=told["seconds"],
            cpu_seconds=told["web_cpu_seconds"],
            largest_mb=meter.largest_mb,
            largest_name=meter.largest_name,
            more={name: told[name] for name in names},
        )


def web_pid(system: Any) -> int:
    parts = json.loads((Path(system.system.home) / "parts.json").read_text())["parts"]
    return next(int(part["pid"]) for part in parts if part["name"] == "web")
