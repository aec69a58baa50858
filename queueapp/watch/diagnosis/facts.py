"""What the rules look at. Plain values, so that a rule can be tried without a database.

Counts of deliveries are exact (from the counters of the domains) unless a sample is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Part:
    """One recipient domain, or many of which all that matters here is the same (`name` is empty)."""

    name: str = ""
    pk: int = 0
    site_id: int = 0
    site_name: str = ""
    n_domains: int = 1
    n_queued: int = 0
    n_sending: int = 0
    n_deferred: int = 0
    n_held: int = 0
    suspended_at: datetime | None = None
    suspended_reason: str = ""
    stop_class: str = ""
    """Of the site's back-off in force, or of the block of our address there."""
    stop_reply: str = ""
    stop_since: datetime | None = None
    is_paced: bool = False
    """A rate of ours has no room."""
    error_class: str = ""
    """Of the last deferral."""
    error_reply: str = ""
    due_at: datetime | None = None
    tried_at: datetime | None = None
    """The last outcome of any of its mail."""

    @property
    def n_waiting(self) -> int:
        return self.n_queued + self.n_deferred

    @property
    def n_open(self) -> int:
        return self.n_waiting + self.n_sending + self.n_held


@dataclass(frozen=True, slots=True)
class Seen:
    """One delivery of a sample, with the last reply."""

    pk: int
    message_id: int
    domain_id: int
    state: str
    recipient: str = ""
    reply_class: str = ""
    code: int | None = None
    enhanced: str = ""
    text: str = ""
    host: str = ""
    at: datetime | None = None
    """Of the last attempt; of what was never tried, since when it waits; else None."""
    sender: str = ""
    from_header: str = ""
    login: str = ""
    campaign: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """`of`: how many there are in all of which these were looked at."""

    rows: tuple[Seen, ...] = ()
    of: int = 0

    @property
    def weight(self) -> float:
        """How many deliveries one row stands for."""
        return max(1.0, self.of / len(self.rows)) if self.rows else 0.0

    @property
    def is_whole(self) -> bool:
        return len(self.rows) >= self.of


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that came in within the last minutes."""

    pk: int
    at: datetime
    sender: str
    login: str = ""
    campaign: str = ""
    is_bulk: bool = False
    n_recipients: int = 1


@dataclass(frozen=True, slots=True)
class Site:
    """One that fails, or that is deep enough to be told."""

    pk: int
    name: str
    route: str = ""
    n_failures: int = 0
    backoff_class: str = ""
    backoff_reply: str = ""
    backoff_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class System:
    """This installation. None: not known."""

    n_runners: int = 0
    n_workers: int | None = None
    last_runner_at: datetime | None = None
    wants_workers: int = 1
    redis_error: str = ""
    write_s: float = 0.0
    disk_free: int | None = None
    disk_total: int | None = None
    inodes_free: float | None = None
    parts_down: tuple[str, ...] = ()
    route: str = "sandbox"
    mx_port: int = 25
    name_servers: str = ""
    names_error: str | None = None
    """What came of asking our own name servers; empty where they answered, None where nobody asked."""


@dataclass(frozen=True, slots=True)
class Record:
    """One of our own DNS records: what is there, and what should be. `wrong` is empty where it is right."""

    what: str
    name: str
    found: str = ""
    wrong: str = ""
    should: str = ""

    @property
    def is_right(self) -> bool:
        return not self.wrong


@dataclass(frozen=True, slots=True)
class Facts:
    now: datetime
    system: System = field(default_factory=System)
    parts: tuple[Part, ...] = ()
    sites: Mapping[int, Site] = field(default_factory=dict)
    failing: tuple[Site, ...] = ()
    """Sites at which no session can be opened, of the route `mx`."""
    mx_delivered_at: datetime | None = None
    deferred: Sample = field(default_factory=Sample)
    deep: tuple[Seen, ...] = ()
    """Deferred mail of deep domains that the sample says nothing of."""
    due: Sample = field(default_factory=Sample)
    """Never tried, and due."""
    sending: Sample = field(default_factory=Sample)
    """With a runner: most of it waits there for a session."""
    held: Sample = field(default_factory=Sample)
    failed: Sample = field(default_factory=Sample)
    """Bounced in the last hour."""
    arrivals: tuple[Arrival, ...] = ()
    usual: Mapping[str, float] = field(default_factory=dict)
    """Sender: messages a minute that it sent before, where somebody sends much."""
    oldest_due_s: float | None = None
    attempted_at: datetime | None = None
    took: Mapping[int, float] = field(default_factory=dict)
    """Recipient domain: seconds that its last attempts took, the middle one of them."""
    listed: tuple[tuple[str, str], ...] = ()
    """(one of our addresses or domains, the blocklist that has it), the worst first."""
    n_finished: int = 0
    """Delivered, bounced or expired in the last hour."""
    records: Mapping[str, tuple[Record, ...]] = field(default_factory=dict)
    """Sender domain, or one of our addresses: its records."""

    @property
    def n_waiting(self) -> int:
        return sum(part.n_waiting for part in self.parts)

    @property
    def n_open(self) -> int:
        return sum(part.n_open for part in self.parts)
