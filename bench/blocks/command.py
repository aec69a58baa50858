"""`python -m bench blocks [--db sqlite|postgres|both]`

A receiver blocks one of two sources of a running system, then both, then forgives them. Prints how many
mails were refused, by whom the others went, and the pace at which mail came back. Ends with 1 where mail
bounced, an address was suppressed, or more than one batch was refused.
"""

from __future__ import annotations

import argparse

from bench.blocks.play import Result, play
from bench.options import databases
from bench.report import write_plays
from bench.scratch import scratch


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench blocks", description=__doc__)
    parser.add_argument("--db", choices=("sqlite", "postgres", "both"), default="both", help="ours on which")
    return parser.parse_args(arguments)


def run(chosen: argparse.Namespace) -> int:
    results = []
    for database in databases(chosen.db):
        with scratch() as folder:
            results.append(play(database, folder))
        print("\n".join(lines(results[-1])), flush=True)
    print("written to", write_plays("blocks", results))
    return 0 if all(not each.wrong for each in results) else 1


def lines(result: Result) -> list[str]:
    r = result
    return [
        f"{r.database}: before, by source: {r.by_source}",
        f"    blocked: {r.n_refused} refused within {r.refused_for:.2f} s, then none",
        f"    {r.n_round:,} went by the other in {r.round_in:.1f} s; strip: {r.strip!r}",
        f"    both blocked: {r.n_waited:,} waited; lifted: a second {r.per_second}, all in {r.all_in:.1f} s",
        f"    suppressed {r.n_suppressed}, bounced {r.n_bounced}",
        *(f"    WRONG: {each}" for each in r.wrong),
    ]
