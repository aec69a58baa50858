"""What a session begins behind the dot of the mail that it sends now (RFC 2920 section 3.1).

Promises: only mail that needs nothing looked at first: its source is here, it asks the same of the
session, neither a rate nor a warm-up counts it, and the session may take one more. What was begun is
sent next by the same session, or goes back to the head of its site's line untouched: it was asked for and not
sent, so it can't have arrived.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from queueapp.engine.sites import Group, SiteWork
from queueapp.models import TlsDemand
from queueapp.transports.base import Envelope, Outcome

if TYPE_CHECKING:
    from queueapp.engine.delivering import Door
    from queueapp.engine.staffing import Staffing

# After such a reply the next mail waits for what the site's share, source or back-off say to it.
_SECOND_THOUGHTS = frozenset({"busy", "connection", "rate_limited", "blocklisted"})


@dataclass(slots=True)
class Ahead:
    """For the group that a session sends now, its `n`-th. `group`: the one that was begun behind it."""

    runner: Staffing
    site: SiteWork
    door: Door
    now: Group
    n: int
    group: Group | None = field(default=None, init=False)
    envelope: Envelope | None = field(default=None, init=False)

    def begin(self) -> Envelope | None:
        """The next one's envelope, or None."""
        site, session = self.site, self.door.session
        if session is None or session.n_sent + 1 >= site.share.max_mails:
            return None
        if site.pace or site.lanes or self.runner.is_warming(self.door):
            return None
        group = self.runner.next_group(site, self.door, self.n)
        if group is None:
            return None
        content = self.runner.hands.known_body(group.message_id)
        if content is None or not group.is_new or group.trust != self.now.trust:
            site.add(group, first=True)
            return None
        self.group, self.envelope = group, envelope_of(group, content)
        return self.envelope

    def settle(self, outcomes: list[Outcome]) -> None:
        """What came of the mail before it: after some replies the next one is not sent at once."""
        if any(outcome.is_ambiguous or outcome.reply_class in _SECOND_THOUGHTS for outcome in outcomes):
            self.give_back()

    def following(self) -> Group | None:
        """The group that its session must send now; one that the session has lost goes back."""
        session = self.door.session
        if self.group and session is not None and session.begun is self.envelope:
            return self.group
        self.give_back()
        return None

    def give_back(self) -> None:
        if self.group:
            session = self.door.session
            if session is not None and session.begun is self.envelope:
                session.abort()
            self.site.add(self.group, first=True)
            self.group = self.envelope = None


def envelope_of(group: Group, content: bytes) -> Envelope:
    first = group.rows[0]
    return Envelope(
        sender=group.sender,
        recipients=tuple(row.recipient for row in group.rows),
        content=content,
        needs_utf8=first.needs_utf8,
        is_8bit=first.is_8bit,
        requires_tls=first.tls_demand == TlsDemand.REQUIRED,
    )
