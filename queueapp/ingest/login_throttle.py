"""Slows down whoever guesses passwords at the submission server: so many failures, then a pause.

An attempt counts from its start until it has succeeded, so that guesses made at once on many
connections don't slip through. IPv6 clients are counted by their /64, which is what one host has.
Kept in the memory of this process and bounded; a restart forgives.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

_MAX_CLIENTS = 50_000


class LoginThrottle:
    """`most` failures within `window` seconds close the door for `window` seconds after the last one."""

    def __init__(self, most: int = 5, window: float = 60.0, max_clients: int = _MAX_CLIENTS) -> None:
        self._most, self._window, self._max_clients = most, window, max_clients
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def begin(self, client: str, now: float) -> bool:
        """Count an attempt; False if this client has to wait."""
        key = network_of(client)
        recent = [at for at in self._failures.pop(key, ()) if now - at < self._window]
        self._failures[key] = recent
        if len(self._failures) > self._max_clients:
            self._failures.popitem(last=False)
        if len(recent) >= self._most:
            return False
        recent.append(now)
        return True

    def forgive(self, client: str) -> None:
        """The last attempt was no failure. Earlier ones go on counting."""
        recent = self._failures.get(network_of(client))
        if recent:
            recent.pop()


def network_of(client: str) -> str:
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))
