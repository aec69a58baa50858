"""DNS questions with a memory: one query for all who ask the same at once, answers kept for their TTL.

Promises: an answer is kept for its TTL, at least MIN_TTL and at most MAX_TTL seconds; "no such name"
and "no such record" for NEGATIVE_TTL, a failure for FAILURE_TTL; the memory holds MAX_ENTRIES answers.
Each question ends within the time-out. One event loop per object. Never raises: a failure is a
`Found` with its status.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from typing import TYPE_CHECKING

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.nameserver
import dns.resolver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dns.rdata import Rdata

MIN_TTL = 30
MAX_TTL = 3600
NEGATIVE_TTL = 60
FAILURE_TTL = 10
MAX_ENTRIES = 20_000
DNS_PORT = 53


class Status(Enum):
    FOUND = "found"
    NO_NAME = "no such name"  # NXDOMAIN
    NO_DATA = "no such record"  # the name exists
    FAILED = "no usable answer"  # SERVFAIL, REFUSED, time-out, nonsense


@dataclass(frozen=True, slots=True)
class Found:
    """What DNS says to one question. `why` describes a failure.

    `is_secure`: the name server says that it validated the answer (DNSSEC), and is believed: it has to be
    one that can be reached without strangers on the way.
    """

    status: Status
    records: tuple[Rdata, ...] = ()
    ttl: float = NEGATIVE_TTL
    why: str = ""
    is_secure: bool = False


class Lookup:
    """`nameservers`: "ip:port", "[ip6]:port" or "ip"; None means those of the system."""

    def __init__(self, nameservers: Sequence[str] | None, timeout: float) -> None:
        self._resolver = _resolver(nameservers)
        self._resolver.lifetime = timeout
        self._resolver.timeout = max(min(5.0, timeout / 2), 0.1)
        self._timeout = timeout
        self._known: OrderedDict[tuple[str, str], tuple[float, Found]] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[Found]] = {}

    async def find(self, name: str, rdtype: str) -> Found:
        key = (name.rstrip(".").lower(), rdtype)
        known = self._known.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.ensure_future(self._ask(key))
        return await asyncio.shield(task)  # whoever gives up must not take the answer from the others

    async def _ask(self, key: tuple[str, str]) -> Found:
        try:
            found = await self._query(*key)
            self._keep(key, found)
            return found
        finally:
            self._asking.pop(key, None)

    async def _query(self, name: str, rdtype: str) -> Found:
        try:
            question = dns.name.from_text(name)
            answer = await self._resolver.resolve(question, rdtype, search=False)
        except dns.resolver.NXDOMAIN:
            return Found(Status.NO_NAME)
        except dns.resolver.NoAnswer:
            return Found(Status.NO_DATA)
        except (
            dns.name.LabelTooLong,
            dns.name.NameTooLong,
            dns.name.EmptyLabel,
            dns.name.BadEscape,
            dns.name.IDNAException,
        ):
            return Found(Status.NO_NAME, why="it is not a domain name")
        except dns.resolver.LifetimeTimeout:
            return Found(Status.FAILED, ttl=FAILURE_TTL, why=f"no answer within {self._timeout:g} s")
        except dns.resolver.NoNameservers as exc:
            return Found(Status.FAILED, ttl=FAILURE_TTL, why=_server_said(exc))
        except Exception as exc:  # what a hostile answer makes the library raise is not known
            return Found(Status.FAILED, ttl=FAILURE_TTL, why=type(exc).__name__)
        ttl = min(max(answer.expiration - time.time(), MIN_TTL), MAX_TTL)
        is_secure = bool(answer.response.flags & dns.flags.AD)
        return Found(Status.FOUND, tuple(answer), ttl, is_secure=is_secure)

    def _keep(self, key: tuple[str, str], found: Found) -> None:
        self._known.pop(key, None)
        while len(self._known) >= MAX_ENTRIES:
            self._known.popitem(last=False)
        self._known[key] = (time.monotonic() + found.ttl, found)


def _resolver(nameservers: Sequence[str] | None) -> dns.asyncresolver.Resolver:
    if nameservers:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = [_nameserver(text) for text in nameservers]
    else:
        try:
            resolver = dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration:  # as the system's own resolver does
            resolver = dns.asyncresolver.Resolver(configure=False)
            resolver.nameservers = ["127.0.0.1"]
    resolver.use_edns(0, 0, 1232)
    resolver.flags = dns.flags.RD | dns.flags.AD  # to be told whether the answer was validated, RFC 6840 5.7
    resolver.search = []
    return resolver


def _nameserver(text: str) -> dns.nameserver.Do53Nameserver:
    host, port = text, DNS_PORT
    if text.startswith("[") or text.count(":") == 1:
        host, _, number = text.rpartition(":")
        port = int(number) if number.isdigit() else -1
    try:
        address = str(ip_address(host.strip("[]")))
    except ValueError:
        address = ""
    if not address or not 0 < port < 65536:
        raise ValueError(f"the name server {text!r} is not of the form IP or IP:PORT, e.g. 192.0.2.53:53")
    return dns.nameserver.Do53Nameserver(address, port)


def _server_said(exc: dns.resolver.NoNameservers) -> str:
    errors = [error[3] for error in exc.kwargs.get("errors", ()) if len(error) > 3]
    said = {str(error) or type(error).__name__ for error in errors}
    return f"the name servers answered {', '.join(sorted(said))[:200]}" if said else "no name server answered"
