"""A small DNS server on loopback, UDP and TCP, for tests: it answers from a dict, and misbehaves by name.

    with DnsServer({
        "example.test": {"MX": ["10 mx1.example.test.", "20 mx2.example.test."]},
        "mx1.example.test": {"A": ["127.0.0.1"], "AAAA": "servfail"},
        "alias.test": {"CNAME": "example.test."},
        "*.many.test": {"A": ["127.0.0.1"], "ttl": 5},
        "signed.test": {"MX": ["10 mx1.example.test."], "secure": True},  # as if DNSSEC were checked
        "null.test": {"MX": ["0 ."]},
        "broken.test": "servfail",
        "slow.test": "hang",
    }) as dns:
        Resolver([dns.address])

Values of a type: text as in a zone file, or a list of such. Behaviours, for a name or for one type of
it: "nxdomain", "servfail", "refused", "hang" (no answer). A name that is not there is NXDOMAIN; a name
that lacks the type is an empty answer; what is too long for UDP is truncated. `records` may be
changed while it runs; `queries` lists the (name, type) asked for.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from types import TracebackType
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Values = str | list[str]
Records = dict[str, str | dict[str, Any]]

_BEHAVIOURS = {
    "nxdomain": dns.rcode.NXDOMAIN,
    "servfail": dns.rcode.SERVFAIL,
    "refused": dns.rcode.REFUSED,
    "hang": None,
}
_MAX_CHAIN = 8


class DnsServer:
    def __init__(self, records: Records | None = None, *, ttl: int = 300):
        self.records: Records = records or {}
        self.ttl = ttl
        self.queries: list[tuple[str, str]] = []
        self._tcp, self._udp = _bind(self)
        self._threads = [
            threading.Thread(target=s.serve_forever, args=(0.05,)) for s in (self._tcp, self._udp)
        ]

    @property
    def address(self) -> str:
        host, port = self._udp.server_address[:2]
        return f"{host}:{port}"

    def count(self, name: str, rdtype: str) -> int:
        """How often this was asked."""
        return self.queries.count((name, rdtype))

    def __enter__(self) -> DnsServer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._tcp, self._udp:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join(5)

    def answer(self, wire: bytes, *, is_udp: bool) -> bytes | None:
        """The reply to one query; None for "hang"."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        rdtype = dns.rdatatype.to_text(question.rdtype)
        self.queries.append((name, rdtype))
        response = dns.message.make_response(query, recursion_available=True)
        rcode = self._fill(response, name, rdtype)
        if rcode is None:
            return None
        response.set_rcode(rcode)
        if is_udp:
            return response.to_wire(prefer_truncation=True)
        return response.to_wire(max_size=65535)

    def _fill(self, response: dns.message.Message, name: str, rdtype: str) -> dns.rcode.Rcode | None:
        for _ in range(_MAX_CHAIN):
            entry = self._entry(name)
            if isinstance(entry, str):
                return _BEHAVIOURS[entry]
            ttl = entry.get("ttl", self.ttl)
            if entry.get("secure"):
                response.flags |= dns.flags.AD
            alias = entry.get("CNAME")
            if alias is None or rdtype == "CNAME":
                return self._fill_values(response, name, rdtype, entry.get(rdtype, []), ttl)
            response.answer.append(dns.rrset.from_text(_absolute(name), ttl, "IN", "CNAME", _absolute(alias)))
            name = alias.rstrip(".").lower()
        return dns.rcode.SERVFAIL

    def _fill_values(
        self, response: dns.message.Message, name: str, rdtype: str, values: Values, ttl: int
    ) -> dns.rcode.Rcode | None:
        if isinstance(values, str):
            if values in _BEHAVIOURS:
                return _BEHAVIOURS[values]
            values = [values]
        if values:
            response.answer.append(dns.rrset.from_text(_absolute(name), ttl, "IN", rdtype, *values))
        else:
            soa = "ns.invalid. hostmaster.invalid. 1 3600 600 86400 60"
            response.authority.append(dns.rrset.from_text(_absolute(name), 60, "IN", "SOA", soa))
        return dns.rcode.NOERROR

    def _entry(self, name: str) -> str | dict[str, Any]:
        entry = self.records.get(name)
        parent = name
        while entry is None and "." in parent:
            parent = parent.partition(".")[2]
            entry = self.records.get(f"*.{parent}")
        return "nxdomain" if entry is None else entry


def _absolute(name: str) -> str:
    return name if name.endswith(".") else name + "."


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    dns: DnsServer


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    dns: DnsServer


class _UdpHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        wire, sock = self.request
        answer = self.server.dns.answer(wire, is_udp=True)  # type: ignore[attr-defined]
        if answer is not None:
            sock.sendto(answer, self.client_address)


class _TcpHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        head = self.rfile.read(2)
        if len(head) < 2:
            return
        wire = self.rfile.read(struct.unpack("!H", head)[0])
        answer = self.server.dns.answer(wire, is_udp=False)  # type: ignore[attr-defined]
        if answer is not None:
            self.wfile.write(struct.pack("!H", len(answer)) + answer)


def _bind(dns_server: DnsServer) -> tuple[_Tcp, _Udp]:
    """Both on one port: a free one for TCP may be taken for UDP, so try a few."""
    for _ in range(50):
        tcp = _Tcp(("127.0.0.1", 0), _TcpHandler)
        try:
            udp = _Udp(tcp.server_address[:2], _UdpHandler)  # type: ignore[arg-type]
        except OSError:
            tcp.server_close()
            continue
        udp.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        tcp.dns = udp.dns = dns_server
        return tcp, udp
    raise OSError("no port is free for both TCP and UDP")
