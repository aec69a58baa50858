"""`python -m bench alarms [NAME …] [--db sqlite|postgres|both] [--markdown]`

Breaks what alerts are about in a system of its own each, and prints when the mail was at a second SMTP
server, and when the mail that it is over. Ends with 1 where none came, more than one, or in another thread.
"""

from __future__ import annotations

import argparse

from bench.alarms.play import Result, play
from bench.alarms.stage import HOLDS
from bench.alarms.troubles import TROUBLES
from bench.options import databases
from bench.report import write_plays
from bench.scratch import scratch


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench alarms", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="one of: " + ", ".join(TROUBLES))
    parser.add_argument("--db", choices=("sqlite", "postgres", "both"), default="both", help="ours on which")
    parser.add_argument("--markdown", action="store_true", help="the table as it stands in docs/alerts.md")
    chosen = parser.parse_args(arguments)
    for name in chosen.names:
        if name not in TROUBLES:
            parser.error(f"there is no trouble {name!r}: choose from {', '.join(TROUBLES)}")
    return chosen


def run(chosen: argparse.Namespace) -> int:
    results = []
    print(f"rules hold, and are clear, after {HOLDS} s; a group gathers for 20 s")
    for name in chosen.names or TROUBLES:
        for database in databases(chosen.db):
            if database in TROUBLES[name].databases:
                with scratch() as folder:
                    results.append(play(TROUBLES[name](), database, folder))
                print(row(results[-1]), flush=True)
    print("written to", write_plays("alarms", results))
    if chosen.markdown:
        print(markdown(results))
    return 0 if all(not each.wrong for each in results) else 1


def row(result: Result) -> str:
    state = f"WRONG ({result.wrong})" if result.wrong else "ok"
    told = (
        f"told {result.raised:.0f} s, over {result.resolved:.0f} s, pings silent {result.pings_silent:.0f} s"
    )
    return (
        f"{result.name:<11} {result.database:<8} {state:<5} {told} {result.subject!r} beside: {result.others}"
    )


def markdown(results: list[Result]) -> str:
    """One row a trouble; seconds on SQLite and on PostgreSQL."""
    lines = [
        "| What is broken | The mail | After, SQLite | PostgreSQL | Its end is told after |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(each.name for each in results):
        mine = {each.database: each for each in results if each.name == name}
        first, trouble = next(iter(mine.values())), TROUBLES[name]
        after = [f"{mine[each].raised:.0f} s" if each in mine else "" for each in ("sqlite", "postgres")]
        over = ", ".join(f"{each.resolved:.0f} s" for each in mine.values())
        subject = first.subject.partition("] ")[2].replace("|", "\\|") if trouble.wants_mail else "none"
        if not trouble.wants_mail:
            after = [f"no ping for {each.pings_silent:.0f} s" for each in mine.values()]
        lines.append(f"| {trouble.what} | {subject} | {' | '.join(after)} | {over} |")
    return "\n".join(lines)
