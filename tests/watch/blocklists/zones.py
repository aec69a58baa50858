"""Blocklists of the test's own: zones on a DNS server on loopback, that list, refuse, lie or are dead."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any
from unittest.mock import patch

from queueapp import conf
from queueapp.conf import Address
from queueapp.models import EgressSource, Listing
from queueapp.watch.blocklists import asking as dns
from queueapp.watch.blocklists import run
from queueapp.watch.blocklists.lists import LISTS
from queueapp.watch.blocklists.names import subject
from tests.dnsserver import DnsServer

OURS = "45.67.89.10"
OURS6 = "2a00:1450::10"
KEY = "sekretkey0123456789abcdef"


def listed(server: DnsServer, zone: str, target: str, *codes: str, text: str = "") -> None:
    server.records[f"{name_of(target)}.{zone}"] = {
        "A": list(codes or ("127.0.0.2",)),
        "TXT": [quoted(text)] if text else [],
    }


def quoted(text: str) -> str:
    """As in a zone file, in strings of at most 200 octets."""
    octets = text.encode()
    parts = [octets[at : at + 200] for at in range(0, len(octets), 200)]
    return " ".join('"' + "".join(f"\\{octet:03}" for octet in part) + '"' for part in parts)


def unlisted(server: DnsServer, zone: str, target: str) -> None:
    server.records.pop(f"{name_of(target)}.{zone}", None)


def name_of(target: str) -> str:
    try:
        ip_address(target)
    except ValueError:
        return target
    return subject(target, "ip")


def alive(server: DnsServer, *names: str, zones: dict[str, str] | None = None) -> None:
    """Their test entries are as they should be; `zones`: a list's zone where it is another."""
    for name in names:
        each = LISTS[name]
        for kind in each.kinds:
            listed(server, (zones or {}).get(name, each.zone), each.test_entries(kind)[0])


@contextlib.contextmanager
def asking(*names: str, servers: int = 1, timeout: float = 20.0, **changes: Any) -> Iterator[DnsServer]:
    """The lists are asked by a DNS server that knows nothing yet but their test entries; by two, the second
    stands in `server.other`."""
    with contextlib.ExitStack() as stack:
        # A busy machine may be slow; a test that waits for a time-out names a short one.
        stack.enter_context(patch.object(dns, "TIMEOUT", timeout * servers))
        stack.enter_context(patch.object(run, "AT_MOST", 60.0))
        server = stack.enter_context(DnsServer())
        other = stack.enter_context(DnsServer()) if servers > 1 else server
        other.records = server.records  # until a test says otherwise
        server.other = other  # type: ignore[attr-defined]
        alive(server, *(name for name in names if LISTS[name].zone))
        addresses = [_address(each) for each in (server, other)[:servers]]
        settings = {
            "blocklists": names,
            "blocklist_resolver": tuple(addresses),
            "hostname": "localhost",
            **changes,
        }
        with conf.override(**settings):
            yield server


def _address(server: DnsServer) -> Address:
    host, _, port = server.address.rpartition(":")
    return Address(host, int(port))


def a_source(address: str = OURS, ehlo_name: str = "localhost", **values: Any) -> EgressSource:
    return EgressSource.objects.create(
        name=f"mx-{address}"[:64], address=address, ehlo_name=ehlo_name, **values
    )


def checked(now: datetime, name: str = "", *, later: timedelta = timedelta(0)) -> Listing:
    """Arrange, check all that is due at that time, and give one row."""
    run.arrange()
    Listing.objects.filter(checked_at__isnull=True).update(next_check_at=now)
    run.batch(now + later, most=500)
    return one(name)


def one(name: str = "") -> Listing:
    rows = Listing.objects.filter(list_name=name) if name else Listing.objects.all()
    return rows.get()
