"""The policy hosts of MTA-STS for tests: HTTPS on loopback, answers by host name, and misbehaves.

with PolicyHost(certificates.server_context()) as host:
    host.publish("example.test", "enforce", "mx.example.test")
    host.answers["mta-sts.slow.test"] = Answer(wait=5)
"""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/plain"})
    wait: float = 0.0


def policy(mode: str, *mx: str, max_age: int = 86400) -> bytes:
    names = "".join(f"mx: {name}\r\n" for name in mx)
    return f"version: STSv1\r\nmode: {mode}\r\n{names}max_age: {max_age}\r\n".encode()


class PolicyHost:
    def __init__(self, tls: ssl.SSLContext) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.host, self._server.tls = self, tls
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def publish(self, domain: str, mode: str, *mx: str, max_age: int = 86400) -> None:
        self.answers[f"mta-sts.{domain}"] = Answer(policy(mode, *mx, max_age=max_age))

    def __enter__(self) -> PolicyHost:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    host: PolicyHost
    tls: ssl.SSLContext


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def setup(self) -> None:
        self.request.settimeout(5)
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        super().handle()

    def do_GET(self) -> None:  # noqa: N802  the library's name
        name = (self.headers["Host"] or "").partition(":")[0]
        self.server.host.asked.append(name)
        answer = self.server.host.answers.get(name, Answer(status=404))
        if self.path != "/.well-known/mta-sts.txt":
            answer = Answer(status=404)
        time.sleep(answer.wait)
        self.send_response(answer.status)
        for key, value in answer.headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Quiet."""
