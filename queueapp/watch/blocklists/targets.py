"""What of ours the lists are asked about: egress addresses, EHLO names, sender domains, DKIM domains.

Bounded: the sender domains that sent last, MOST_DOMAINS of them. What no list can know (private and reserved
addresses, names that are no public domains) is left out with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

from queueapp import conf
from queueapp.models import Attempt, DkimKey, EgressSource, KeyState
from queueapp.watch.blocklists import senders

MOST_SOURCES = 500
MOST_DOMAINS = 200
_LAST = 500  # attempts that are looked at
_NAME = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\Z"
)
_RESERVED = (
    "test", "example", "invalid", "localhost", "local", "internal", "lan", "home.arpa",
    "example.com", "example.net", "example.org",
)  # fmt: skip


@dataclass(slots=True)
class Target:
    """`what` says in words why it is ours."""

    name: str
    kind: str
    what: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Skipped:
    name: str
    what: str
    why: str


@dataclass(slots=True)
class Targets:
    found: dict[str, Target] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, name: str, what: str) -> None:
        name = name.strip().lower().rstrip(".")
        kind, why = judge(name)
        if why:
            self.skipped.append(Skipped(name[:255], what, why))
            return
        target = self.found.setdefault(normal(name, kind), Target(normal(name, kind), kind))
        if what not in target.what:
            target.what.append(what)


def current() -> Targets:
    """All of now: addresses first, then domains."""
    targets = Targets()
    for name, what in _names():
        targets.add(name, what)
    for address in _left_from():
        if address not in targets.found:
            targets.add(address, "address that mail left from")
    return targets


def judge(name: str) -> tuple[str, str]:
    """(kind, why not): one of both is empty."""
    try:
        address = ip_address(name)
    except ValueError:
        return ("domain", "") if (why := _why_no_domain(name)) == "" else ("", why)
    if not address.is_global or address.is_multicast:
        return "", "a private or reserved address, which no list knows"
    return ("ip4" if address.version == 4 else "ip6"), ""


def normal(name: str, kind: str) -> str:
    return name if kind == "domain" else str(ip_address(name))


def _why_no_domain(name: str) -> str:
    if not _NAME.match(name):
        return "not a public domain name"
    if any(name == each or name.endswith(f".{each}") for each in _RESERVED):
        return "a reserved name, which no list knows"
    return ""


def _left_from() -> list[str]:
    """Where the last mail left from: the address that the system chooses, too. Loopback is the sandbox."""
    # All of the last ones: to look for those with an address could go through the whole table.
    last = Attempt.objects.order_by("-pk").values_list("source", flat=True)[:_LAST]
    found = sorted({each for each in last if not _is_loopback(each)})
    ours = set(EgressSource.objects.filter(address__in=found).values_list("address", flat=True))
    return [each for each in found if each not in ours]


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return True


def _names() -> Iterator[tuple[str, str]]:
    settings = conf.current()
    rows = list(EgressSource.objects.order_by("-is_active", "name")[:MOST_SOURCES])
    for row in rows:
        yield row.address, f"egress source {row.name}" + ("" if row.is_active else " (drained)")
    for name in settings.blocklist_targets:
        yield name, "MAILWEIR_BLOCKLIST_TARGETS"
    for row in rows:
        yield row.ehlo_name, f"EHLO name of {row.name}"
    if settings.hostname or not rows:
        yield settings.host, "EHLO name of this machine"
    keys = DkimKey.objects.exclude(state=KeyState.RETIRED).order_by("domain").values_list("domain", flat=True)
    for domain in keys.distinct()[:MOST_DOMAINS]:
        yield domain, "DKIM domain"
    for domain in senders.recent(MOST_DOMAINS):
        yield domain, "sender domain"
