"""(h) Receivers that are 50 ms away and take 200 ms to answer: what the sessions allow, by arithmetic.

On a kept session a mail takes one round trip for the envelope and one for the content, and what the
receiver thinks: 50 + 50 + 200 ms. So each session carries 3.3 mails a second. The round trips are made
by the receiver, which answers late (bench/slow_sink.py): that needs no help from the kernel.
"""

from __future__ import annotations

from bench.draining import drain
from bench.mails import Mails
from bench.options import Options
from bench.rounds import Case, Sample
from bench.sink import SlowSink
from bench.systems.base import Contender, Wishes, by_sessions

TITLE = "receivers 50 ms away that take 200 ms to answer"
SESSIONS, RTT, THINK = 100, 0.05, 0.2
LIMIT = SESSIONS / (2 * RTT + THINK)


def cases(options: Options) -> list[Case]:
    mails = Mails(options.scaled(6_000), 50)
    title = f"{mails.n:,} mails of 5 KB, {SESSIONS} sessions: {LIMIT:.0f} mails/s by arithmetic"
    return [Case("far", title, lambda contender: far(contender, mails), takes=by_sessions)]


def far(contender: type[Contender], mails: Mails) -> Sample:
    def sink() -> SlowSink:
        return SlowSink("--rtt", str(RTT), "--think", str(THINK))

    sample = drain(contender, mails, Wishes(sessions=SESSIONS), sink)
    sample.more["share_of_limit"] = sample.rate / LIMIT
    return sample
