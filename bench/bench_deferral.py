"""(i) What deferral costs: every mail fails for now, and is tried again twice.

The receiver answers 452 4.2.2 to each recipient, which is the recipient's fault: nobody has a reason
to slow down for the site. Counted are tries, from the first to three for each mail.
"""

from __future__ import annotations

from bench.draining import drain
from bench.mails import Mails
from bench.options import Options
from bench.rounds import Case, Sample
from bench.sink import SlowSink
from bench.systems.base import Contender, Wishes, by_smtp

TITLE = "all mails fail temporarily, and are tried again twice"
TRIES = 3
WISHES = Wishes(
    settings={"MAILWEIR_RETRY_FIRST": "2s", "MAILWEIR_RETRY_CAP": "2s"},
    postfix={"minimal_backoff_time": "2s", "maximal_backoff_time": "2s", "queue_run_delay": "2s"},
)


def cases(options: Options) -> list[Case]:
    mails = Mails(options.scaled(100_000 if options.is_full else 20_000), 50)
    title = f"{mails.n:,} mails, {TRIES * mails.n:,} tries, retries after 2 s, 20 sessions"
    return [Case("deferral", title, lambda contender: deferral(contender, mails), "tries/s", takes=by_smtp)]


def deferral(contender: type[Contender], mails: Mails) -> Sample:
    sample = drain(contender, mails, WISHES, lambda: SlowSink("--refuse"), TRIES)
    sample.lost = sample.repeated = None  # they go on being tried
    return sample
