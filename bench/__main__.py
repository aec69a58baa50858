"""`python -m bench [NAME …] [options]`: runs benchmarks; without a name all of them. `--help` tells the rest.
`python -m bench faults [NAME …] [options]` plays faults under load instead (bench/faults/), `causes` what
clogs a queue (bench/causes/), `alarms` whether alert mail arrives while things are broken (bench/alarms/),
`blocks` a source that is blocked (bench/blocks/), `floods` a stolen login (bench/floods/); `tab` watches the
memory of a browser's tabs (bench/tab.py).

A benchmark is a module `bench_NAME.py` with `TITLE` and `cases(options)`. Ctrl-C ends the run and all
that it started.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

from bench import report, rounds, tab
from bench.alarms import command as alarms
from bench.blocks import command as blocks
from bench.causes import command as causes
from bench.faults import command as faults
from bench.floods import command as floods
from bench.options import ALL_PEERS, Options, peers_named
from bench.scratch import NoDisk, place

PLAYS: dict[str, Any] = {
    "alarms": alarms,
    "blocks": blocks,
    "causes": causes,
    "faults": faults,
    "floods": floods,
    "tab": tab,
}
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def names() -> list[str]:
    found = (each.name for each in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return [name.removeprefix("bench_") for name in found if name.startswith("bench_")]


def parse(arguments: list[str]) -> tuple[list[str], Options]:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="one of: " + ", ".join(names()))
    parser.add_argument("--runs", type=int, default=5, help="how often each system runs (default 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 takes a tenth of the mails")
    parser.add_argument("--db", choices=("sqlite", "postgres", "both"), default="both", help="ours on which")
    parser.add_argument("--peers", default=",".join(ALL_PEERS), help="by commas, or none")
    parser.add_argument(
        "--full", action="store_true", help="the sizes that take long, such as a million rows"
    )
    chosen = parser.parse_args(arguments)
    for name in chosen.names:
        if name not in names():
            parser.error(f"there is no benchmark {name!r}: choose from {', '.join(names())}")
    if chosen.runs < 1 or chosen.scale <= 0:
        parser.error(f"--runs {chosen.runs} and --scale {chosen.scale} must be above 0")
    try:
        peers = peers_named(chosen.peers)
    except ValueError as error:
        parser.error(str(error))
    return chosen.names or names(), Options(chosen.runs, chosen.scale, chosen.db, peers, chosen.full)


def say(text: str) -> None:
    print(text, flush=True)


def run(name: str, options: Options) -> bool:
    """One benchmark, told and written. False where no run of ours came through."""
    module: Any = importlib.import_module(f"bench.bench_{name}")
    say(f"── {name}: {module.TITLE}")
    outcomes = []
    for case in module.cases(options):
        say(f"   {case.title}")
        contenders = [each for each in options.contenders() if case.takes(each)]
        outcome = rounds.play(case, rounds.usable(contenders, say), options.runs, say)
        outcomes.append(outcome)
        for line in report.table(outcome):
            say(line)
    for line in getattr(module, "conclusions", lambda _: [])(outcomes):
        say(f"   {line}")
    path = report.write(name, outcomes, vars(options))
    say(f"   written to {os.path.relpath(path)}")
    return all(
        not sample.error
        for outcome in outcomes
        for label, samples in outcome.samples.items()
        for sample in samples
        if label.startswith(report.OURS)
    )


def stop_once(number: int, frame: object) -> None:
    """The first signal ends the run in order; a second one must not interrupt that, it is bounded."""
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    if arguments and (played := PLAYS.get(arguments[0])) is not None:
        work = partial(played.run, played.parse(arguments[1:]))
    else:
        work = partial(run_all, *parse(arguments))
    for each in STOP_SIGNALS:  # a shell starts what runs behind it with SIGINT ignored
        signal.signal(each, stop_once)
    try:
        place()
        return work()
    except NoDisk as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; nothing is left running", file=sys.stderr)
        return 130


def run_all(names: list[str], options: Options) -> int:
    results = [run(name, options) for name in names]
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
