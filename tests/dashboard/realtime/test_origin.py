from __future__ import annotations

import pytest

from dashboard.realtime.origin import is_same_origin


def headers(origin: str, host: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", host.encode("utf-8")), (b"origin", origin.encode("utf-8"))]


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://localhost", "localhost"),
        ("http://localhost:80", "localhost"),
        ("http://LOCALHOST:8000", "localhost:8000"),
        ("https://localhost", "localhost:443"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_it_lets_our_own_pages_in(origin: str, host: str) -> None:
    assert is_same_origin(headers(origin, host))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8001", "127.0.0.1:8000"),  # another service of the same machine
        ("http://localhost:8000", "127.0.0.1:8000"),
        ("https://localhost", "localhost:80"),
        ("http://evil.example", "127.0.0.1:8000"),
        ("http://evil.example", "evil.example"),  # DNS rebinding: a host that we don't answer for
        ("null", "127.0.0.1:8000"),
        ("", "127.0.0.1:8000"),
        ("file://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://127.0.0.1:8000@evil.example", "127.0.0.1:8000"),
        ("http://é", "é"),
        ("http://127.0.0.1:x", "127.0.0.1:8000"),
    ],
)
def test_it_refuses_all_others(origin: str, host: str) -> None:
    assert not is_same_origin(headers(origin, host))


def test_it_refuses_what_says_nothing_or_says_it_twice() -> None:
    host, origin = (b"host", b"localhost"), (b"origin", b"http://localhost")
    assert not is_same_origin([host])
    assert not is_same_origin([origin])
    assert not is_same_origin([host, origin, origin])
    assert not is_same_origin([host, host, origin])
