"""`python -m bench causes [NAME…] [--db sqlite|postgres|both]`: brings each cause about in its own system,
and prints a table: which cause the diagnosis named first, after how many seconds, and its proof. Without a
name all of them. Ends with 1 where another cause was named, or none within a minute.
"""

from __future__ import annotations

import argparse

from bench.causes.scenario import Result, play
from bench.causes.scenes import SCENES
from bench.options import databases
from bench.report import write_plays
from bench.scratch import scratch


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench causes", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="one of: " + ", ".join(SCENES))
    parser.add_argument("--db", choices=("sqlite", "postgres", "both"), default="both", help="ours on which")
    parser.add_argument("--markdown", action="store_true", help="the table as it stands in docs/diagnosis.md")
    chosen = parser.parse_args(arguments)
    for name in chosen.names:
        if name not in SCENES:
            parser.error(f"there is no scenario {name!r}: choose from {', '.join(SCENES)}")
    return chosen


def run(chosen: argparse.Namespace) -> int:
    results = []
    for name in chosen.names or SCENES:
        for database in databases(chosen.db):
            result = _play(name, database)
            results.append(result)
            print(row(result), flush=True)
    print("written to", write_plays("causes", results))
    if chosen.markdown:
        print(markdown(results))
    return 0 if all(not each.wrong for each in results) else 1


def _play(name: str, database: str) -> Result:
    scenario = SCENES[name]()
    if reason := scenario.why_not():
        return Result(name, scenario.cause, wrong=f"not played: {reason}", database=database)
    with scratch() as folder:
        return play(name, scenario, folder, database)


def row(result: Result) -> str:
    state = f"WRONG ({result.wrong})" if result.wrong else f"{result.seconds:5.1f} s"
    return f"{result.name:<15} {result.database:<8} {result.cause:<21} {state:<10} {result.evidence[:200]}"


def markdown(results: list[Result]) -> str:
    """One row a scenario; seconds on SQLite and on PostgreSQL."""
    lines = [
        "| Scenario | Brought about by | Named first | SQLite | PostgreSQL | Its proof |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(each.name for each in results):
        mine = {each.database: each for each in results if each.name == name}
        took = [
            f"{mine[database].seconds:.0f} s" if database in mine else ""
            for database in ("sqlite", "postgres")
        ]
        first = next(iter(mine.values()))
        proof = first.evidence.replace("|", "\\|")[:160]
        lines.append(f"| `{name}` | {SCENES[name]().what} | {first.named} | {' | '.join(took)} | {proof} |")
    return "\n".join(lines)
