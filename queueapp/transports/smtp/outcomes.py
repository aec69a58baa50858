"""From what happened in a session to an `Outcome`: replies are classified, breakdowns are described.

Promises: a 421 and a failed login are never permanent; every outcome says where (host, address, source,
TLS) and at which stage. Never raises, whatever a server sent as its text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from queueapp.mail.classify import classify
from queueapp.mail.reply import Reply, ReplyError
from queueapp.transports.base import Outcome, bounced, deferred

if TYPE_CHECKING:
    from queueapp.transports.base import Stage
    from queueapp.transports.smtp.replies import RawReply
    from queueapp.transports.smtp.wire import Broken

CLOSING = 421
_ACCEPTED = re.compile(rb"2[0-9][0-9] (2\.[0-9]{1,3}\.[0-9]{1,3}) ([!-9;-~][ -~]{1,500})\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session runs: what every outcome of it repeats."""

    host: str
    address: str = ""
    source: str = ""
    tls: str = ""

    def stamp(self, outcome: Outcome) -> Outcome:
        return replace(outcome, host=self.host, address=self.address, source=self.source, tls=self.tls)

    def of_reply(self, raw: RawReply, stage: Stage) -> Outcome:
        """The server's word: 2xx delivered, else by class; the first digit says whether for good."""
        reply = parsed(raw)
        verdict = classify(reply, stage, self.host)
        return Outcome(
            "delivered" if 200 <= reply.code < 300 else "bounced" if verdict.is_permanent else "deferred",
            verdict.reply_class,
            reply.code,
            reply.enhanced,
            reply.text,
            self.host,
            self.address,
            self.source,
            self.tls,
            verdict.rule,
            verdict.retry_in,
            stage=stage,
        )

    def of_broken(self, broken: Broken, stage: Stage, *, is_ambiguous: bool = False) -> Outcome:
        """No word from the server: always worth another try."""
        outcome = self.stamp(deferred(broken.reply_class, broken.text, stage))
        return replace(outcome, is_ambiguous=is_ambiguous)

    def of_refusal(self, reply_class: str, enhanced: str, text: str) -> Outcome:
        """Our own refusal before anything is sent: this server can't take this mail."""
        return self.stamp(bounced(reply_class, text, "mail", enhanced=enhanced, rule="client"))


def parsed(raw: RawReply) -> Reply:
    if found := _ACCEPTED.match(raw.raw):  # what nearly every mail gets; the rest takes a few times as long
        return Reply(raw.code, found[1].decode(), found[2].decode().rstrip())
    try:
        return Reply.parse(raw.raw)
    except ReplyError:
        return Reply(raw.code, "", "")
