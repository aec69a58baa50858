"""All tests, on SQLite and then on PostgreSQL; ends non-zero if any of them failed.

Each database gets three rounds: the quick tests, four at once, since they wait for a third of their time;
then those that start whole systems or a browser, three files side by side, since they wait for half of it;
then those of them that measure times (`timed`), one after another. PostgreSQL gets only the tests for which
the database makes a difference (conftest marks the others `once`). Arguments go to every pytest run; with
any, a round that has no matching test is fine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SLOW = "(system or browser)"
NO_TESTS = 5  # pytest's exit code


@dataclass(frozen=True)
class Round:
    database: str
    name: str
    flags: tuple[str, ...]


_SPREAD = ("-n", "4", "--dist", "worksteal")
_BY_FILE = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")
_ALONE = ("-p", "no:xdist")


def rounds(database: str, chosen: str) -> tuple[Round, ...]:
    return (
        Round(database, "quick", (*_SPREAD, "-m", f"{chosen}not {SLOW}")),
        Round(database, "side by side", (*_BY_FILE, "-m", f"{chosen}{SLOW} and not timed")),
        Round(database, "one by one", (*_ALONE, "-m", f"{chosen}{SLOW} and timed")),
    )


ROUNDS = (*rounds("sqlite", ""), *rounds("postgres", "not once and "))


@dataclass(frozen=True)
class Result:
    round: Round
    code: int
    seconds: float
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def is_good(self) -> bool:
        return self.code in (0, NO_TESTS)

    def __str__(self) -> str:
        verdict = "ok" if self.is_good else f"FAILED (exit {self.code})"
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return f"{self.round.database:8}  {self.round.name:13}  {counts} in {self.seconds:.0f} s: {verdict}"


def play(each: Round, arguments: list[str]) -> Result:
    print(f"\n── Tests on {each.database}: {each.name}", flush=True)
    environment = dict(os.environ, MAILWEIR_TEST_DB=each.database)
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    # Rewritten tests are kept: eighteen processes read each of them, and a rewrite takes ten times as long.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mw-report-") as folder:
        report = Path(folder) / "report.xml"
        pytest = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}"]
        code = subprocess.call([*pytest, *each.flags, *arguments], cwd=ROOT, env=environment)
        return Result(each, code, time.monotonic() - began, *counts(report))


def counts(report: Path) -> tuple[int, int, int]:
    """Passed, failed and skipped of a JUnit report; zeros where pytest didn't get as far as one."""
    try:
        suites = ET.parse(report).getroot().iter("testsuite")
    except (OSError, ET.ParseError):
        return 0, 0, 0
    total = failed = skipped = 0
    for suite in suites:
        total += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return max(total - failed - skipped, 0), failed, skipped


def main(arguments: list[str]) -> int:
    try:
        results = [play(each, arguments) for each in ROUNDS]
    except KeyboardInterrupt:
        return 130
    print("\n── All rounds")
    print(*results, sep="\n")
    passed = sum(each.passed for each in results)
    failed = sum(each.failed for each in results)
    skipped = sum(each.skipped for each in results)
    print(f"total: {passed} passed, {failed} failed, {skipped} skipped")
    if passed + failed == 0:
        print("No test ran: that is a failure too.")
    return 0 if passed and all(each.is_good for each in results) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
