"""The direct route: what each answer of the DNS and of the MX hosts makes of a delivery.

Real servers on loopback: a DNS server of the tests' own, and SMTP servers on several addresses of
127.0.0.0/8 that share one port, as MX hosts in the world share port 25.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import threading
from collections.abc import Iterator

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.dnsserver import DnsServer
from tests.flows.settled import api, until
from tests.system import System

pytestmark = pytest.mark.system

FIRST, SECOND, REFUSES, HANGS, CLOSED = (f"127.7.0.{n}" for n in range(1, 6))
RECORDS = {
    "two.test": {"MX": ["20 second.host.test.", "10 first.host.test."]},
    "fallback.test": {"MX": ["10 closed.host.test.", "20 second.host.test."]},
    "implicit.test": {"A": [FIRST]},
    "null.test": {"MX": ["0 ."]},
    "gone.test": "nxdomain",
    "broken.test": "servfail",
    "refuses.test": {"MX": ["10 refuses.host.test."]},
    "hangs.test": {"MX": ["10 hangs.host.test."]},
    "closed.test": {"MX": ["10 closed.host.test."]},
    "nohost.test": {"MX": ["10 nowhere.host.test."]},
    "same.test": {"MX": ["10 first.host.test.", "20 second.host.test."]},
    "first.host.test": {"A": [FIRST]},
    "second.host.test": {"A": [SECOND]},
    "refuses.host.test": {"A": [REFUSES]},
    "hangs.host.test": {"A": [HANGS]},
    "closed.host.test": {"A": [CLOSED]},
    "b.test": {"A": [FIRST]},
}


class Taker:
    """An MX host: who was written to, by whose name. `refuses` says 554 to every recipient."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.recipients: list[str] = []
        self.refuses = refuses

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuses:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.recipients += envelope.rcpt_tos
        return "250 2.0.0 taken"


class World:
    """DNS and the MX hosts, with the port that they share."""

    def __init__(self) -> None:
        self.first, self.second, self.refuses = Taker(), Taker(), Taker(refuses=True)
        self._stack = contextlib.ExitStack()
        self.dns = self._stack.enter_context(DnsServer(dict(RECORDS)))
        self.port = self._free_port()
        for address, taker in ((FIRST, self.first), (SECOND, self.second), (REFUSES, self.refuses)):
            self._serve(address, taker)
        self._hang(HANGS)

    def _free_port(self) -> int:
        """A port that is free on every address that is used."""
        while True:
            with contextlib.ExitStack() as stack:
                sockets = [stack.enter_context(socket.socket()) for _ in range(5)]
                sockets[0].bind((FIRST, 0))
                port = int(sockets[0].getsockname()[1])
                with contextlib.suppress(OSError):
                    for each, address in zip(sockets[1:], (SECOND, REFUSES, HANGS, CLOSED), strict=True):
                        each.bind((address, port))
                    return port

    def _serve(self, address: str, taker: Taker) -> None:
        controller = Controller(taker, hostname=address, port=self.port, enable_SMTPUTF8=True)
        controller.start()
        self._stack.callback(controller.stop)

    def _hang(self, address: str) -> None:
        """Accepts connections and never says a word."""
        server = socket.create_server((address, self.port))
        kept: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    kept.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()

        def close() -> None:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
            for each in kept:
                each.close()

        self._stack.callback(close)

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.fixture(scope="module")
def system(database_url: str, world: World) -> Iterator[System]:
    settings = {
        "MAILWEIR_ROUTE": "mx",
        "MAILWEIR_MX_PORT": str(world.port),
        "MAILWEIR_DNS": world.dns.address,
        "MAILWEIR_REPLY_TIMEOUT": "3s",
    }
    with System(database_url=database_url, settings=settings) as running:
        yield running


def send(system: System, recipient: str) -> dict:  # type: ignore[type-arg]
    """Submit one mail and wait for its first outcome; the delivery as the API shows it."""
    with smtplib.SMTP(*system.smtp_address) as client:
        client.sendmail("a@b.test", [recipient], b"Subject: mx\r\n\r\nhello\r\n")

    def tried() -> dict | None:  # type: ignore[type-arg]
        items = api(system, f"/api/v1/deliveries?q=to:{recipient}")["items"]
        settled = items and items[0]["state"] not in ("queued", "sending")
        return api(system, f"/api/v1/deliveries/{items[0]['id']}") if settled else None

    return until(tried, 40, f"{recipient} was not tried") or {}


def outcome(found: dict) -> tuple[str, str]:  # type: ignore[type-arg]
    return found["state"], found["class"]


def test_it_takes_the_mx_host_of_the_best_preference(system: System, world: World) -> None:
    assert outcome(send(system, "x@two.test")) == ("delivered", "delivered")
    assert "x@two.test" in world.first.recipients
    assert "x@two.test" not in world.second.recipients


def test_it_tries_the_next_mx_host_where_the_first_is_down(system: System, world: World) -> None:
    assert outcome(send(system, "x@fallback.test")) == ("delivered", "delivered")
    assert "x@fallback.test" in world.second.recipients


def test_a_domain_without_mx_is_its_own_host(system: System, world: World) -> None:
    assert outcome(send(system, "x@implicit.test")) == ("delivered", "delivered")
    assert "x@implicit.test" in world.first.recipients


@pytest.mark.parametrize(
    ("recipient", "state", "reply_class"),
    [
        ("x@null.test", "bounced", "no_such_domain"),
        ("x@gone.test", "bounced", "no_such_domain"),
        ("x@broken.test", "deferred", "dns"),
        ("x@nohost.test", "deferred", "dns"),
        ("x@refuses.test", "bounced", "no_such_user"),
        ("x@closed.test", "deferred", "connection"),
        ("x@hangs.test", "deferred", "connection"),
    ],
)
def test_what_dns_or_host_refuses_has_its_state_and_class(
    system: System, recipient: str, state: str, reply_class: str
) -> None:
    found = send(system, recipient)
    assert outcome(found) == (state, reply_class), found
    assert found["attempts"], "every try is in the timeline"


def test_a_host_that_hangs_says_what_was_waited_for(system: System) -> None:
    found = send(system, "y@hangs.test")
    assert "greeting" in found["reply"].lower() or "timed out" in found["reply"].lower(), found


def test_domains_with_the_same_mx_hosts_are_one_site(system: System) -> None:
    send(system, "y@two.test")
    send(system, "y@same.test")
    sites = {api(system, f"/api/v1/domains/{name}")["site"]["name"] for name in ("two.test", "same.test")}
    assert sites == {"host.test"}


def test_an_address_literal_is_refused_at_the_door(system: System) -> None:
    with smtplib.SMTP(*system.smtp_address) as client:
        client.ehlo("me.test")
        client.mail("a@b.test")
        code, text = client.rcpt("x@[127.0.0.1]")
    assert code // 100 == 5, text
