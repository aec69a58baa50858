"""Who sends: the login that floods, by SMTP with a password, and two that just go on as ever.

Each probe sends four mails a second to addresses of its own and notes how long acceptance took. When a mail
is at the receiver is noted there; `delays` joins both.
"""

from __future__ import annotations

import json
import smtplib
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable
from statistics import median, quantiles

from tests.counting_sink import CountingSink

EVERY = 0.25
_CLIENTS = 4


class Receiver(CountingSink):
    """Notes when each recipient's mail is there."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        super().__init__(answer=self._note)

    def _note(self, verb: str, line: str) -> str | None:
        if verb == "RCPT":
            self.arrived.setdefault(line[line.find("<") + 1 : line.rfind(">")], time.monotonic())
        return None


class Probe:
    """`send` hands one mail in for a recipient. `accepted`: recipient, begin, and seconds to acceptance."""

    def __init__(self, name: str, send: Callable[[str], None]) -> None:
        self.name, self._send = name, send
        self.accepted: list[tuple[str, float, float]] = []
        self.n_failed = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(60)

    def _run(self) -> None:
        number, at = 0, time.monotonic()
        while not self._over.wait(max(0.0, at - time.monotonic())):
            at = max(at + EVERY, time.monotonic() - EVERY)
            recipient = f"{self.name}{number}@d{number % 10}.others.test"
            number += 1
            began = time.monotonic()
            try:
                self._send(recipient)
            except (OSError, smtplib.SMTPException):
                self.n_failed += 1
                continue
            self.accepted.append((recipient, began, time.monotonic() - began))

    def takes(self, since: float, until: float) -> list[float]:
        """Seconds to acceptance of what was handed in between."""
        return [took for _, began, took in self.accepted if since <= began < until]

    def delays(self, receiver: Receiver, since: float, until: float) -> tuple[list[float], int]:
        """Seconds from handing in to the receiver, and how many are not there."""
        mine = [(to, began) for to, began, _ in self.accepted if since <= began < until]
        found = [receiver.arrived[to] - began for to, began in mine if to in receiver.arrived]
        return found, len(mine) - len(found)


def by_http(url: str, key: str) -> Callable[[str], None]:
    def send(recipient: str) -> None:
        body = {"from": "shop@others.test", "to": [recipient], "subject": "An order", "text": "Thank you."}
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/api/v1/messages", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()

    return send


def by_smtp(address: tuple[str, int]) -> Callable[[str], None]:
    """Without a login, on a connection that is kept."""
    kept: list[smtplib.SMTP] = []

    def send(recipient: str) -> None:
        if not kept:
            kept.append(smtplib.SMTP(*address, timeout=60))
        try:
            kept[0].sendmail("app@others.test", [recipient], _text(recipient))
        except (OSError, smtplib.SMTPException):
            kept.clear()
            raise

    return send


class Flood:
    """`n` mails in so many seconds by one login, over a few connections."""

    def __init__(self, address: tuple[str, int], login: str, password: str, n: int, seconds: float) -> None:
        self._address, self._login, self._password = address, login, password
        self.n, self.seconds = n, seconds
        self.n_accepted = 0
        self.took = 0.0
        self._lock = threading.Lock()

    def run(self) -> None:
        """Returns when all are accepted."""
        began = time.monotonic()
        threads = [threading.Thread(target=self._client, args=(part,)) for part in range(_CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.took = time.monotonic() - began

    def _client(self, part: int) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        began = time.monotonic()
        with smtplib.SMTP(*self._address, timeout=120) as client:
            client.starttls(context=context)
            client.login(self._login, self._password)
            for number in range(part, self.n, _CLIENTS):
                time.sleep(max(0.0, began + number * self.seconds / self.n - time.monotonic()))
                recipient = f"victim{number}@f{number % 50}.flood.test"
                client.sendmail("boss@corp.example", [recipient], _text(recipient))
                with self._lock:
                    self.n_accepted += 1


def _text(recipient: str) -> bytes:
    return f"From: a@others.test\r\nTo: {recipient}\r\nSubject: Hello\r\n\r\n{'x' * 500}\r\n".encode()


def told(values: list[float]) -> tuple[float, float]:
    """The median and the 95th percentile, in milliseconds."""
    if len(values) < 2:
        return (0.0, 0.0)
    return median(values) * 1000, quantiles(values, n=20)[18] * 1000
