"""(c) A loaded queue is drained: the fat head, one domain. Time must grow in proportion to the mails."""

from __future__ import annotations

from bench.draining import drain
from bench.mails import Mails
from bench.options import Options
from bench.report import proportions
from bench.rounds import Case, Outcome
from bench.systems.base import ours

TITLE = "a loaded queue is drained, one domain"
_SIZES = (5_000, 25_000, 50_000)


def cases(options: Options) -> list[Case]:
    """Peers only with the smallest: with the others they would take most of the time."""
    return [_case(options.scaled(n), is_first=n == _SIZES[0]) for n in _SIZES]


def _case(n: int, *, is_first: bool) -> Case:
    mails = Mails(n, 1)
    title = f"{n:,} mails of 5 KB to one domain, 20 sessions"
    takes = (lambda contender: True) if is_first else ours
    return Case(f"{n} mails", title, lambda contender: drain(contender, mails), takes=takes)


def conclusions(outcomes: list[Outcome]) -> list[str]:
    return proportions(outcomes)
