"""From the request to the receiver: one mail at a time on an idle system, by HTTP and by SMTP.

The clock stops when the sandbox has read the mail's final dot, by the receipt's own time; the
clock starts just before the client speaks. Both are this machine's clock.
"""

from __future__ import annotations

import json
import smtplib
import statistics
import time
import urllib.request
from collections.abc import Callable

from tests.flows.settled import archive, key, until
from tests.system import System

N = 30
_MAIL = "From: a@b.test\r\nSubject: latency\r\n\r\n" + ("x" * 70 + "\r\n") * 70


def by_http(system: System, recipient: str) -> None:
    body = {"from": "a@b.test", "to": [recipient], "subject": "latency", "text": "x" * 5000}
    request = urllib.request.Request(
        f"{system.http}/api/v1/messages",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key(system)}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        answer.read()


def by_smtp(system: System, recipient: str) -> None:
    with smtplib.SMTP(*system.smtp_address) as client:
        client.sendmail("a@b.test", [recipient], _MAIL)


def measure(system: System, send: Callable[[System, str], None]) -> list[float]:
    """Milliseconds of N single mails, each to a domain of its own, sent when the one before is through."""
    took = []
    for number in range(N):
        recipient = f"one@{send.__name__.replace('_', '-')}-{number}.test"
        began = time.time()
        send(system, recipient)
        [receipt] = until(lambda to=recipient: archive(system).receipts(recipient=to), 30)  # type: ignore[misc]
        took.append((receipt.at - began) * 1000)
        time.sleep(0.2)
    return took


TITLE = "a single mail on an idle system"


def main() -> None:
    result = {}
    with System() as system:
        key(system)
        for send in (by_http, by_smtp):
            took = sorted(measure(system, send))
            result[send.__name__] = {
                "median_ms": round(statistics.median(took), 1),
                "min_ms": round(took[0], 1),
                "max_ms": round(took[-1], 1),
            }
            print(
                f"{send.__name__:8} median {result[send.__name__]['median_ms']} ms of {N} mails, "
                f"{took[0]:.0f} to {took[-1]:.0f}"
            )
    print(json.dumps({"latency": result}))
