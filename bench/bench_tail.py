"""(b) A loaded queue is drained: the long tail, 5,000 domains with two mails each."""

from __future__ import annotations

from bench.draining import drain
from bench.mails import Mails
from bench.options import Options
from bench.rounds import Case

TITLE = "a loaded queue is drained, 5,000 domains"


def cases(options: Options) -> list[Case]:
    mails = Mails(options.scaled(10_000), options.scaled(5_000))
    title = f"{mails.n:,} mails of 5 KB to {mails.n_domains:,} domains, 20 sessions"
    return [Case("tail", title, lambda contender: drain(contender, mails))]
