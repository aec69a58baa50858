"""`python -m bench faults [NAME …] [--seconds 60] [--rate 300] [--db sqlite|postgres|both]`

Plays faults under load and prints what was accepted, received, lost and repeated; without a name all of
them. Ends with 1 if anything was lost, more was repeated than allowed, or a repeat is not listed.
"""

from __future__ import annotations

import argparse

from bench.faults.book import Finding
from bench.faults.hosts import HOST_KINDS, play_hosts
from bench.faults.kinds import KINDS
from bench.faults.play import play
from bench.options import databases
from bench.report import write_plays
from bench.scratch import scratch

NAMES = (*KINDS, *HOST_KINDS)
_HEAD = (
    f"{'fault':<16} {'database':<9} {'accepted':>8} {'received':>8} {'lost':>5} {'repeated':>8} "
    f"{'allowed':>7} {'listed':>6} {'sessions':>8} {'again s':>8} {'all s':>7}"
)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="one of: " + ", ".join(NAMES))
    parser.add_argument("--seconds", type=float, default=60, help="of load for each fault (default 60)")
    parser.add_argument("--rate", type=float, default=300, help="mails a second that are offered")
    parser.add_argument("--db", choices=("sqlite", "postgres", "both"), default="both")
    chosen = parser.parse_args(arguments)
    for name in chosen.names:
        if name not in NAMES:
            parser.error(f"there is no fault {name!r}: choose from {', '.join(NAMES)}")
    if chosen.seconds < 6 or chosen.rate <= 0:
        parser.error(f"--seconds {chosen.seconds:g} must be 6 or more, --rate {chosen.rate:g} above 0")
    return chosen


def run(chosen: argparse.Namespace) -> int:
    """Play what was chosen; the exit code."""
    findings: list[Finding] = []
    print(f"{chosen.rate:g} mails/s offered for {chosen.seconds:g} s and more, each fault in a new system")
    print(_HEAD, flush=True)
    for name in chosen.names or NAMES:
        for database in databases(chosen.db):
            if database not in {**KINDS, **HOST_KINDS}[name].databases:
                continue
            found = _play(name, database, chosen)
            if isinstance(found, str):
                print(f"{name:<16} {database:<9} not played: {found}", flush=True)
                continue
            findings.append(found)
            print(row(found), flush=True)
            for line in found.wrong:
                print(f"    {line}", flush=True)
    print("written to", write_plays("faults", findings))
    return 0 if findings and all(each.is_good for each in findings) else 1


def _play(name: str, database: str, chosen: argparse.Namespace) -> Finding | str:
    """What came of it, or why it can't be played here."""
    with scratch() as folder:
        if name in HOST_KINDS:
            cut = HOST_KINDS[name]()
            return cut.why_missing() or play_hosts(name, cut, chosen.seconds, chosen.rate, folder)
        fault = KINDS[name](folder)
        return fault.why_missing() or play(name, fault, database, chosen.seconds, chosen.rate, folder)


def row(found: Finding) -> str:
    again, all_came = ("-" if each is None else f"{each:.1f}" for each in (found.again, found.caught_up))
    mark = "" if found.is_good else "  WRONG"
    return (
        f"{found.name:<16} {found.database:<9} {found.accepted:>8,} {found.received:>8,} {found.lost:>5,} "
        f"{found.repeated:>8,} {found.allowed:>7,} {found.ambiguous:>6,} "
        f"{found.sessions:>8} {again:>8} {all_came:>7}{mark}"
    )
