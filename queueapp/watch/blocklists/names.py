"""The name to ask a list for: RFC 5782 sections 2.1 (IPv4), 2.4 (IPv6) and 3 (domains), and the key if any.

A key stands in that name, so nothing but the resolver may get it; `hidden` takes keys out of any text.
"""

from __future__ import annotations

from ipaddress import ip_address

from queueapp.conf import Conf
from queueapp.watch.blocklists.lists import Blocklist, key_of

MASK = "…"
_MASKED_FROM = 4  # shorter ones are no keys, and would mask half of every text


def query_name(blocklist: Blocklist, target: str, kind: str, settings: Conf) -> str:
    """Holds the key where there is one."""
    key = key_of(blocklist, settings)
    zone = blocklist.keyed_zone.format(key=key) if key and blocklist.keyed_zone else blocklist.zone
    return f"{subject(target, kind)}.{zone}"


def subject(target: str, kind: str) -> str:
    """The part before the zone."""
    if kind == "domain":
        return target
    return ip_address(target).reverse_pointer.rpartition(".")[0].rpartition(".")[0]


def hidden(text: str, settings: Conf) -> str:
    """The text without keys, in whatever case DNS gave them back."""
    for _, key in settings.blocklist_keys:
        at = text.lower().find(key.lower()) if len(key) >= _MASKED_FROM else -1
        while at >= 0:
            text = text[:at] + MASK + text[at + len(key) :]
            at = text.lower().find(key.lower(), at + len(MASK))
    return text
