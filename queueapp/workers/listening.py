"""The sockets that servers listen on: bound once, early, with an error that says what to do.

`up` binds them before it forks, so that a taken port is told at once, port 0 gives one address for
the whole run, and a server that is started again finds the connections that came meanwhile.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

from queueapp.conf import Address

_BACKLOG = 1024
_LISTEN = "0A"  # the state in /proc/net/tcp


class CannotListen(Exception):
    """An address that can't be had; the text names the setting, the address and the way out."""


def bind(setting: str, address: Address) -> socket.socket:
    """A listening socket. `setting` is the name of the variable that holds the address."""
    family, where = _resolve(setting, address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise CannotListen(_explain(setting, address, error)) from None
    return sock


def address_of(sock: socket.socket) -> Address:
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def reachable(address: Address) -> Address:
    """What a client on this machine connects to: a wildcard is no address to connect to."""
    return Address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host), address.port)  # noqa: S104


def _resolve(setting: str, address: Address) -> tuple[int, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        reason = getattr(error, "strerror", None) or error
        raise CannotListen(
            f"{setting}={address}: the host name is not known here ({reason}). "
            "Use an IP address of this machine, such as 127.0.0.1."
        ) from None
    found.sort(key=lambda each: each[0] != socket.AF_INET)
    return found[0][0], found[0][4][:2]  # type: ignore[return-value]


def _explain(setting: str, address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = owner(address.port)
        who = f" by {holder}" if holder else ""
        return (
            f"{setting}={address}: the port is taken{who}. "
            f"Stop that program, or set {setting} to another port (port 0 takes a free one)."
        )
    if error.errno == errno.EACCES:
        return (
            f"{setting}={address}: this user may not listen there; ports below 1024 need root or "
            f"CAP_NET_BIND_SERVICE. Set {setting} to a port above 1023, or grant the capability."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"{setting}={address}: no network interface of this machine has that address. "
            "Use 127.0.0.1, 0.0.0.0 (all), or an address that `ip addr` shows."
        )
    return f"{setting}={address}: can't listen there ({error.strerror}). Set {setting} to another address."


def owner(port: int) -> str:
    """`nginx (pid 123)`, the process that listens on the port; "" where that can't be known."""
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for handle in os.scandir(process / "fd"):
                with suppress(OSError):
                    if os.readlink(handle.path) in inodes:
                        name = (process / "comm").read_text(errors="replace").strip()
                        return f"{name} (pid {process.name})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
