"""TCP: which addresses of an endpoint to try, and a connection to one of them.

Promises: each address is tried within the connect timeout; with a source address only those of its
family come up. Never speaks SMTP. On failure raises `Broken`, with the address and the reason.
"""

from __future__ import annotations

import asyncio
import os
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

from queueapp.transports.smtp.wire import Broken, Wire

if TYPE_CHECKING:
    from queueapp.transports.base import Endpoint, Options

MAX_ADDRESSES = 20


async def candidates(endpoint: Endpoint, options: Options) -> tuple[str, ...]:
    """The IPs to try, in order; never none: raises `Broken` instead."""
    addresses = endpoint.addresses or await _look_up(endpoint.host, options.timeouts.connect)
    fitting = tuple(a for a in addresses if _fits(a, options.source_address))
    if not fitting:
        raise Broken("connection", _none_fits(endpoint.host, addresses, options.source_address))
    return fitting[:MAX_ADDRESSES]


async def connect(address: str, port: int, options: Options) -> Wire:
    """The open connection; raises `Broken` with the address, port and reason."""
    loop = asyncio.get_running_loop()
    source = (options.source_address, 0) if options.source_address else None
    where = f"connecting to {address} port {port}"
    if source:
        where += f" from {options.source_address}"
    try:
        async with asyncio.timeout(options.timeouts.connect):
            _, wire = await loop.create_connection(Wire, address, port, local_addr=source)
    except TimeoutError as exc:  # the system's own, when it has an errno
        after = f" after {options.timeouts.connect:g} s" if not exc.errno else ""
        raise Broken("connection", f"{where} timed out{after}") from None
    except OSError as exc:
        raise Broken("connection", f"{where} failed: {_reason(exc)}") from exc
    return wire


async def _look_up(host: str, seconds: float) -> tuple[str, ...]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise Broken("dns", f"looking up {host} timed out after {seconds:g} s") from None
    except (OSError, UnicodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not a host name"
        raise Broken("dns", f"looking up {host} failed: {reason}") from exc
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def _fits(address: str, source: str | None) -> bool:
    return source is None or _family(address) == _family(source)


def _family(address: str) -> int:
    try:
        return ip_address(address.partition("%")[0]).version
    except ValueError:
        return 0


def _none_fits(host: str, addresses: tuple[str, ...], source: str | None) -> str:
    if not addresses:
        return f"{host} has no address"
    return f"no address of {host} ({', '.join(addresses[:5])}) is of the same family as our source {source}"


def _reason(exc: OSError) -> str:
    return os.strerror(exc.errno) if exc.errno and exc.errno > 0 else str(exc)
