"""Sockets: bound early, and each failure names the setting, the address and the way out."""

from __future__ import annotations

import os
import socket

import pytest

from queueapp.conf import Address
from queueapp.workers import listening


def test_it_works() -> None:
    with listening.bind("MAILWEIR_HTTP", Address("127.0.0.1", 0)) as sock:
        address = listening.address_of(sock)
        assert address.host == "127.0.0.1"
        assert address.port > 0
        with socket.create_connection((address.host, address.port), 5):
            client, _ = sock.accept()
            client.close()


def test_it_takes_the_same_port_again_after_a_restart() -> None:
    with listening.bind("MAILWEIR_HTTP", Address("127.0.0.1", 0)) as sock:
        address = listening.address_of(sock)
        with socket.create_connection((address.host, address.port), 5):
            sock.accept()[0].close()
    listening.bind("MAILWEIR_HTTP", address).close()


def test_it_names_who_holds_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(listening.CannotListen) as refused:
            listening.bind("MAILWEIR_SMTP", Address("127.0.0.1", port))
    text = str(refused.value)
    assert f"MAILWEIR_SMTP=127.0.0.1:{port}" in text
    assert f"(pid {os.getpid()})" in text
    assert "another port" in text


def test_it_refuses_an_address_of_another_machine() -> None:
    with pytest.raises(listening.CannotListen, match=r"MAILWEIR_HTTP=192\.0\.2\.1:8000.*ip addr"):
        listening.bind("MAILWEIR_HTTP", Address("192.0.2.1", 8000))


def test_it_refuses_a_name_that_is_not_known() -> None:
    with pytest.raises(listening.CannotListen, match="the host name is not known"):
        listening.bind("MAILWEIR_HTTP", Address("no-such-host.invalid", 8000))


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_it_listens_on_ipv6() -> None:
    try:
        sock = listening.bind("MAILWEIR_SMTP", Address("::1", 0))
    except listening.CannotListen as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    with sock:
        assert str(listening.address_of(sock)).startswith("[::1]:")


def test_a_wildcard_is_shown_as_an_address_to_connect_to() -> None:
    assert str(listening.reachable(Address("0.0.0.0", 25))) == "127.0.0.1:25"
    assert str(listening.reachable(Address("::", 25))) == "[::1]:25"
    assert str(listening.reachable(Address("10.1.2.3", 25))) == "10.1.2.3:25"


def test_nobody_holds_a_port_that_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert listening.owner(port) == ""
