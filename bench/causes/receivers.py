"""Receivers of a scenario's own: a DNS server, and MX hosts on addresses of 127/8 that share one port.

    with Receivers({"full.test": "452 4.2.2 The mailbox is full"}) as receivers:
        settings = receivers.settings

Each domain has an MX host of its own. What it says to RCPT is its manner: a reply; "" takes the mail;
`SILENT` does not even accept the connection, as behind a firewall; `CLOSED` refuses it; `BROKEN` is a
domain whose DNS fails.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from types import TracebackType

from tests.dnsserver import DnsServer, Records

SILENT, CLOSED, BROKEN = "silent", "closed", "broken"
_FIRST = 10


class Receivers:
    def __init__(self, manners: dict[str, str], records: Records | None = None, delay: float = 0.0) -> None:
        self.delay = delay
        self.manners = manners
        self._stack = contextlib.ExitStack()
        self._addresses = {
            name: f"127.8.{place // 200}.{_FIRST + place % 200}" for place, name in enumerate(manners)
        }
        self._records: Records = {**self._zone(), **(records or {})}

    def __enter__(self) -> Receivers:
        self.dns = self._stack.enter_context(DnsServer(self._records))
        self.port = free_port()
        for name, manner in self.manners.items():
            if manner == SILENT:
                self._stack.callback(_silent(self._addresses[name], self.port))
            elif manner not in (CLOSED, BROKEN):
                self._serve(self._addresses[name], manner)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def settings(self) -> dict[str, str]:
        return {
            "MAILWEIR_ROUTE": "mx",
            "MAILWEIR_DNS": self.dns.address,
            "MAILWEIR_MX_PORT": str(self.port),
            "MAILWEIR_MTA_STS": "off",
            "MAILWEIR_HOSTNAME": "ours.causes.test",
        }

    def _zone(self) -> Records:
        zone: Records = {}
        for name, manner in self.manners.items():
            zone[name] = "servfail" if manner == BROKEN else {"MX": [f"10 mx.{name}."]}
            zone[f"mx.{name}"] = {"A": [self._addresses[name]]}
        return zone

    def _serve(self, address: str, manner: str) -> None:
        server = _Server((address, self.port), _Handler)
        server.manner, server.delay = manner, self.delay
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _silent(address: str, port: int):  # type: ignore[no-untyped-def]
    """A full queue of connections: the system drops what comes, as a firewall does."""
    server = socket.create_server((address, port), backlog=0)
    filling = [socket.socket() for _ in range(4)]
    for each in filling:
        each.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            each.connect((address, port))

    def close() -> None:
        for each in (*filling, server):
            each.close()

    return close


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    manner, delay = "", 0.0


class _Handler(socketserver.StreamRequestHandler):
    """As much SMTP as a scenario needs."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self._say("220 mx.test ESMTP")
            self._talk()

    def _talk(self) -> None:
        manner = self.server.manner  # type: ignore[attr-defined]
        while line := self.rfile.readline(4000):
            verb = line[:4].upper()
            if verb == b"EHLO":
                self._say("250-mx.test", "250 8BITMIME")
            elif verb == b"RCPT":
                time.sleep(self.server.delay)  # type: ignore[attr-defined]
                self._say(manner or "250 2.1.5 Ok")
            elif verb == b"DATA" and manner:
                self._say("554 5.5.1 No recipients")
            elif verb == b"DATA":
                self._say("354 Go on")
                while (more := self.rfile.readline(100_000)) and more != b".\r\n":
                    pass
                self._say("250 2.0.0 Taken")
            elif verb == b"QUIT":
                self._say("221 2.0.0 Bye")
                return
            else:
                self._say("250 2.0.0 Ok")

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
        self.wfile.flush()
