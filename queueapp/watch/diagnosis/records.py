"""Our own DNS records, looked up beside the diagnosis: only those that replies speak of, and kept for a
while.

A task of its own, so that slow name servers keep no round waiting. What it finds is one row (`Bookmark`
"own-records"), which the next round reads. Bounded: a dozen names a round, all within WITHIN seconds,
each kept for KEPT.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import dns.exception
import dns.name
import dns.nameserver
import dns.resolver
from django.utils import timezone

from queueapp import conf
from queueapp.models import Attempt, Bookmark, Delivery, Diagnosis, DkimKey, EgressSource, KeyState
from queueapp.watch.diagnosis import own_dns
from queueapp.watch.diagnosis.facts import Record
from queueapp.watch.diagnosis.spf import Ask

NAME = "own-records"
WITHIN, ONE = 5.0, 1.5  # seconds
KEPT, KEPT_WRONG = timedelta(minutes=10), timedelta(minutes=1)
MOST_DOMAINS, MOST_ADDRESSES = 6, 6
_LATEST = 200  # attempts, for the addresses that they left from
_PROBED = ("dns", "name_servers")


@dataclass(frozen=True, slots=True)
class Known:
    """`names_error`: what came of asking our name servers; None where nobody did."""

    names_error: str | None = None
    records: dict[str, tuple[Record, ...]] = field(default_factory=dict)


def known() -> Known:
    row = Bookmark.objects.filter(pk=NAME).first()
    if row is None:
        return Known()
    records = {
        name: tuple(Record(**one) for one in each["found"]) for name, each in row.data["records"].items()
    }
    return Known(row.data["names_error"], records)


def look(now: datetime | None = None) -> int:
    """Returns how many names were looked up."""
    now = now or timezone.now()
    causes = set(Diagnosis.objects.filter(kind="all").values_list("cause", flat=True))
    row, _ = Bookmark.objects.get_or_create(pk=NAME, defaults={"data": {"names_error": None, "records": {}}})
    kept = {name: each for name, each in row.data["records"].items() if _is_fresh(each, now)}
    end, n, found = time.monotonic() + WITHIN, 0, dict(kept)
    ask = asker(end)
    addresses = _addresses() if causes & {"authentication", "reverse_dns", "blocklist"} else {}
    domains = _domains() if "authentication" in causes else []
    for domain in domains:
        if domain not in kept and time.monotonic() < end:
            keys = [(key.record_name, "".join(key.record)) for key in _keys(domain)]
            found[domain] = _kept(own_dns.of_domain(ask, domain, list(addresses), keys), now)
            n += 1
    for address, ehlo in addresses.items() if causes & {"reverse_dns", "blocklist"} else ():
        if address not in kept and time.monotonic() < end:
            found[address] = _kept([own_dns.of_address(ask, address, ehlo)], now)
            n += 1
    error = probe() if causes & set(_PROBED) else None
    Bookmark.objects.filter(pk=NAME).update(at=now, data={"names_error": error, "records": found})
    return n


def probe() -> str:
    """What is wrong with our name servers; empty where one answers anything at all."""
    try:
        resolver().resolve(".", "NS", lifetime=2 * ONE, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        return ""
    except (dns.exception.DNSException, OSError, ValueError) as error:
        return str(error)[:200]
    return ""


def resolver() -> dns.resolver.Resolver:
    servers = conf.current().dns
    if not servers:
        return dns.resolver.Resolver()
    made = dns.resolver.Resolver(configure=False)
    made.nameservers = [dns.nameserver.Do53Nameserver(each.host, each.port) for each in servers]
    return made


def asker(end: float) -> Ask:
    """Asks each name once, and nothing any more behind `end`."""
    try:
        ours = resolver()
    except (dns.exception.DNSException, OSError) as error:
        problem = str(error)[:200]

        def nobody(name: str, rdtype: str) -> list[str]:
            raise LookupError(problem)

        return nobody
    known: dict[tuple[str, str], list[str] | LookupError] = {}

    def ask(name: str, rdtype: str) -> list[str]:
        key = (name.lower(), rdtype)
        if key not in known:
            known[key] = _asked(ours, name, rdtype, min(ONE, end - time.monotonic()))
        found = known[key]
        if isinstance(found, LookupError):
            raise found
        return found

    return ask


def _asked(ours: dns.resolver.Resolver, name: str, rdtype: str, seconds: float) -> list[str] | LookupError:
    if seconds <= 0:
        return LookupError("there was no time left to look it up")
    try:
        answer = ours.resolve(dns.name.from_text(name), rdtype, lifetime=seconds, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except Exception as error:  # what a hostile answer makes the library raise is not known
        return LookupError(f"{name[:100]} can't be looked up ({type(error).__name__})")
    return [_text(record) for record in answer][:50]


def _text(record: Any) -> str:
    strings = getattr(record, "strings", None)
    return b"".join(strings).decode("ascii", "replace") if strings is not None else record.to_text()


def _domains() -> list[str]:
    """Sender domains of mail that was refused for want of proof, those of the header's From first."""
    rows = Diagnosis.objects.filter(kind="all", cause="authentication").values_list("evidence", flat=True)
    ids = [one["id"] for evidence in rows for each in evidence.get("replies", []) for one in each["examples"]]
    found: dict[str, None] = {}
    messages = Delivery.objects.filter(pk__in=ids).values_list(
        "message__from_header", "message__sender_domain"
    )
    for from_header, sender_domain in messages:
        found |= dict.fromkeys(filter(None, (domain_of(from_header), sender_domain.lower())))
    return list(found)[:MOST_DOMAINS]


def domain_of(address: str) -> str:
    """The domain in a From line; "" where there is none that could be one."""
    domain = address.rpartition("@")[2].strip(" <>\t\"'").lower() if "@" in address else ""
    return domain if domain.replace("-", "").replace(".", "").isalnum() and domain.isascii() else ""


def _keys(domain: str) -> Iterable[DkimKey]:
    return DkimKey.objects.filter(domain=domain, state=KeyState.ACTIVE)


def _addresses() -> dict[str, str]:
    """Our addresses with the name that they say in EHLO."""
    sources = EgressSource.objects.filter(is_active=True).order_by("pk")[:MOST_ADDRESSES]
    found = {each.address: each.ehlo_name for each in sources}
    if not found:
        latest = Attempt.objects.order_by("-pk").values_list("source", flat=True)[:_LATEST]
        found = {each: conf.current().host for each in dict.fromkeys(filter(None, latest))}
    return dict(list(found.items())[:MOST_ADDRESSES])


def _kept(found: list[Record], now: datetime) -> dict[str, Any]:
    # What is wrong may be mended any moment by whoever reads it here.
    until = now + (KEPT_WRONG if any(each.wrong for each in found) else KEPT)
    return {"until": until.isoformat(), "found": [asdict(each) for each in found]}


def _is_fresh(each: dict[str, Any], now: datetime) -> bool:
    return each["until"] > now.isoformat()
