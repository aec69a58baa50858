"""What the second server got: alert mails with their time and thread, and the dead man's pings.

    with Letterbox() as box, Pings() as pings:
        settings = {"MAILWEIR_ALERT_SMTP": box.url, "MAILWEIR_ALERT_PING": pings.url}
        box.letters, pings.times

Times are of the monotonic clock.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from tests.watch.mailbox import Mailbox

RESOLVED = "resolved"


@dataclass(frozen=True)
class Letter:
    at: float
    to: str
    subject: str
    own_id: str
    thread: str
    text: str

    @property
    def is_resolved(self) -> bool:
        return RESOLVED in self.subject.lower()


class Letterbox(Mailbox):
    def __init__(self) -> None:
        super().__init__()
        self.letters: list[Letter] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = cast(EmailMessage, message_from_bytes(envelope.content, policy=default))
        body = mail.get_body(("plain",))
        thread = str(mail["References"] or mail["In-Reply-To"] or "").split()
        self.letters.append(
            Letter(
                time.monotonic(),
                ",".join(envelope.rcpt_tos),
                str(mail["Subject"]),
                str(mail["Message-ID"] or "").strip(),
                thread[0] if thread else "",
                body.get_content() if body else "",
            )
        )
        return "250 taken"


class Pings:
    """An outside service that is asked each minute."""

    def __init__(self) -> None:
        self.times: list[float] = []
        times = self.times

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                times.append(time.monotonic())
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Pings:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/ping"

    def longest_gap(self, since: float, until: float) -> float:
        """Seconds without a ping in that time."""
        times = [since, *(at for at in self.times if since < at < until), until]
        return max(after - before for before, after in zip(times, times[1:], strict=False))
