"""Where the mail for a domain goes: its MX hosts in the order to try (RFC 5321 section 5, RFC 7505).

Promises: by preference, equals shuffled at each call; at most MAX_HOSTS; a domain without MX is its own
host; names that can't be hosts are left out. Never connects, never picks an address literal.
On failure raises `MxFailed`: permanent only where DNS says that there is no such domain, or that it
takes no mail; whatever may heal (no answer, an MX without address) is deferred.
"""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from queueapp.transports.base import Outcome, bounced, deferred
from queueapp.transports.smtp.lookup import Found, Lookup, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_HOSTS = 10
MAX_ADDRESSES = 10
TIMEOUT = 10.0
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_-]{1,63})*\Z")


@dataclass(frozen=True, slots=True)
class MxHost:
    """`name` in lower case without a final dot."""

    name: str
    preference: int


@dataclass(frozen=True, slots=True)
class Destination:
    """`is_implicit`: the domain has no MX and stands for itself. `is_secure`: by DNSSEC (lookup.Found)."""

    hosts: tuple[MxHost, ...]
    is_implicit: bool
    is_secure: bool = False


class MxFailed(Exception):
    """There is no host to try; `outcome` is what every delivery to that domain gets."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome


class Resolver:
    """Look-ups of one event loop. `nameservers`: "ip:port" each; None means those of the system."""

    def __init__(self, nameservers: Sequence[str] | None = None, timeout: float = TIMEOUT) -> None:
        self._lookup = Lookup(nameservers, timeout)

    async def destination(self, domain: str) -> Destination:
        """The hosts for `domain`, an A-label name."""
        if domain.startswith("["):
            raise _bounced(f"mail to the address literal {domain} is not sent", "5.1.2")
        if not domain.strip("."):
            raise _bounced(f"{domain!r} is not a domain", "5.1.2")
        found = await self._lookup.find(domain, "MX")
        if found.status is Status.FOUND:
            return Destination(_hosts(domain, found), is_implicit=False, is_secure=found.is_secure)
        if found.status is Status.NO_DATA:
            return await self._implicit(domain)
        raise _failed(f"the MX of {domain}", domain, found)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The IPv6 and IPv4 addresses of an MX host; those there are, even if one family fails."""
        addresses, failure = await self._addresses(host)
        if addresses:
            return addresses
        if failure.status is Status.FAILED:
            raise _failed(f"the addresses of {host}", host, failure)
        raise _deferred(f"the mail host {host} has no address ({failure.status.value})", "4.4.4")

    async def texts(self, name: str) -> list[str]:
        """The TXT records of a name, their strings joined; none where there is none or DNS is away."""
        found = await self._lookup.find(name, "TXT")
        strings = [getattr(record, "strings", ()) for record in found.records]
        return [b"".join(each).decode("ascii", "replace") for each in strings]

    async def _implicit(self, domain: str) -> Destination:
        addresses, failure = await self._addresses(domain)
        if addresses:
            return Destination((MxHost(_plain(domain), 0),), is_implicit=True)
        if failure.status is Status.FAILED:
            raise _failed(f"the addresses of {domain}", domain, failure)
        raise _bounced(f"the domain {domain} has no mail host: neither MX nor address records", "5.4.4")

    async def _addresses(self, host: str) -> tuple[tuple[str, ...], Found]:
        """(addresses, the worst of the two answers)."""
        addresses: list[str] = []
        worst = Found(Status.NO_DATA)
        for found in await asyncio.gather(*(self._lookup.find(host, rdtype) for rdtype in ("AAAA", "A"))):
            records = [str(record.address) for record in found.records if hasattr(record, "address")]
            addresses += random.sample(records, len(records))[: MAX_ADDRESSES // 2]
            if found.status is Status.FAILED or (found.status is Status.NO_NAME and not worst.why):
                worst = found
        return tuple(addresses), worst


def _hosts(domain: str, found: Found) -> tuple[MxHost, ...]:
    named = [(_plain(record.exchange.to_text()), int(record.preference)) for record in _mx(found)]
    usable = [MxHost(name, preference) for name, preference in dict.fromkeys(named) if _is_host(name)]
    if usable:
        random.shuffle(usable)
        return tuple(sorted(usable, key=lambda host: host.preference)[:MAX_HOSTS])
    if all(name == "" for name, _ in named):
        raise _bounced(f"the domain {domain} says that it takes no mail (null MX)", "5.1.10")
    unusable = ", ".join(name or "." for name, _ in named[:5])
    raise _deferred(f"the MX records of {domain} name no usable host: {unusable}", "4.4.4")


def _mx(found: Found) -> list[Any]:
    return [record for record in found.records if hasattr(record, "exchange")]


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _is_host(name: str) -> bool:
    if not _HOST_NAME.match(name):
        return False
    try:
        ip_address(name)
    except ValueError:
        return True
    return False


def _failed(what: str, domain: str, found: Found) -> MxFailed:
    if found.status is Status.NO_NAME:
        reason = found.why or "DNS says that there is no such name"
        return _bounced(f"the domain {domain} does not exist: {reason}", "5.1.2")
    return _deferred(f"looking up {what} failed: {found.why}", "4.4.3")


def _bounced(text: str, enhanced: str) -> MxFailed:
    return MxFailed(bounced("no_such_domain", text, "", enhanced=enhanced, rule="dns"))


def _deferred(text: str, enhanced: str) -> MxFailed:
    return MxFailed(deferred("dns", text, "", enhanced=enhanced, rule="dns"))
