"""Webhooks: signed, to public addresses only, no redirect followed, no secret told."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from queueapp.watch.notify import http, webhook

pytestmark = pytest.mark.once


class Hooks(HTTPServer):
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.got: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/secret-path"


class Hook(BaseHTTPRequestHandler):
    server: Hooks

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), content))
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    server = Hooks()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_private_address_is_asked_only_where_that_is_wanted(hooks: Hooks) -> None:
    refused = http.ask("POST", hooks.url, content=b"{}")
    assert (refused.is_fine, hooks.got) == (False, [])
    assert "MAILWEIR_ALERT_PRIVATE=yes" in refused.text
    assert not http.ask("POST", hooks.url.replace("127.0.0.1", "localhost"), content=b"{}").is_fine
    assert http.ask("POST", hooks.url, content=b"{}", allows_private=True).is_fine
    assert [path for path, _, _ in hooks.got] == ["/secret-path"]


def test_a_redirect_is_not_followed(hooks: Hooks) -> None:
    hooks.status = 302
    answer = http.ask("POST", hooks.url, content=b"{}", allows_private=True)
    assert not answer.is_fine
    assert "302" in answer.text
    assert len(hooks.got) == 1


def test_what_went_wrong_is_told_without_the_address() -> None:
    answer = http.ask("POST", "http://127.0.0.1:1/secret-path", content=b"{}", allows_private=True)
    assert not answer.is_fine
    assert "secret-path" not in answer.text


def test_who_has_the_secret_can_check_the_signature() -> None:
    signed = webhook.signature("shared", b'{"a": 1}', 1_700_000_000)
    made = hmac.new(b"shared", b'1700000000.{"a": 1}', hashlib.sha256).hexdigest()
    assert signed == f"t=1700000000,v1={made}"


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("8.8.8.8", True), ("10.1.2.3", False), ("169.254.169.254", False), ("::1", False),
        ("::ffff:10.0.0.1", False), ("2002:0a00:0001::", False), ("64:ff9b::a00:1", False),
        ("2606:4700::1111", True), ("fe80::1%eth0", False), ("224.0.0.1", False),
    ],
)  # fmt: skip
def test_it_knows_what_is_public(address: str, is_public: bool) -> None:
    assert http.is_public(address) is is_public
