"""`python -m bench floods [--db sqlite|postgres|both] [--n 20000] [--seconds 60] [--markdown]`

A login floods the submission server of a system of its own while others send as ever. Prints when it was
stopped, what was held, who was told, and what the others felt. Ends with 1 where one of it is missing.
"""

from __future__ import annotations

import argparse

from bench.floods.play import Result, play
from bench.options import databases
from bench.report import write_plays
from bench.scratch import scratch


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench floods", description=__doc__)
    parser.add_argument("--db", choices=("sqlite", "postgres", "both"), default="both", help="ours on which")
    parser.add_argument("--n", type=int, default=20_000, help="mails of the flood")
    parser.add_argument("--seconds", type=float, default=60, help="that it lasts")
    parser.add_argument("--calm", type=float, default=40, help="seconds before it that are the usual")
    parser.add_argument("--markdown", action="store_true", help="the table as it stands in docs/backoff.md")
    return parser.parse_args(arguments)


def run(chosen: argparse.Namespace) -> int:
    results = []
    for database in databases(chosen.db):
        with scratch() as folder:
            results.append(play(database, folder, chosen.n, chosen.seconds, chosen.calm))
        print("\n".join(lines(results[-1])), flush=True)
    print("written to", write_plays("floods", results))
    if chosen.markdown:
        print(markdown(results))
    return 0 if all(not each.wrong for each in results) else 1


def lines(result: Result) -> list[str]:
    r = result
    made = [
        f"{r.database}: {r.n:,} mails in {r.took:.0f} s; stopped after {r.stopped_after:.1f} s ({r.why})",
        f"    {r.n_left:,} left before, {r.n_held:,} held in all "
        f"({r.n_queued_held:,} of them waited), done {r.held_after:.1f} s after its end",
        f"    owner told after {r.owner_told:.0f} s, on call {r.oncall_told:.0f} s; "
        f"one click deleted {r.n_deleted:,} in {r.deleted_in:.1f} s",
    ]
    for name, figures in result.others.items():
        told = ", ".join(f"{what} {low:.0f}/{high:.0f} ms" for what, (low, high) in figures.items())
        made.append(f"    others by {name} (median/95 %): {told}")
    return [*made, *(f"    WRONG: {each}" for each in result.wrong)]


def markdown(results: list[Result]) -> str:
    head = ["", *(f"{each.database} before | {each.database} while it floods" for each in results)]
    rows = [f"| {' | '.join(head)} |", "|---" * (1 + 2 * len(results)) + "|"]
    for name in ("http", "smtp"):
        for what, words in (("accept", "accepted"), ("deliver", "at the receiver")):
            cells = [
                f"{low:,.0f} / {high:,.0f} ms"
                for each in results
                for low, high in (each.others[name][f"{what}_before"], each.others[name][f"{what}_during"])
            ]
            rows.append(f"| others by {name.upper()}, {words} | {' | '.join(cells)} |")
    return "\n".join(rows)
