"""(a) A loaded queue is drained: 50 domains."""

from __future__ import annotations

from bench.draining import drain
from bench.mails import Mails
from bench.options import Options
from bench.rounds import Case

TITLE = "a loaded queue is drained, 50 domains"


def cases(options: Options) -> list[Case]:
    mails = Mails(options.scaled(10_000), 50)
    title = f"{mails.n:,} mails of 5 KB to 50 domains, 20 sessions"
    return [Case("drain", title, lambda contender: drain(contender, mails))]
