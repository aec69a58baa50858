"""Kill queue runners, and empty Valkey, while mail drains: nothing is lost, and what may have been
sent twice is in the list of ambiguous deliveries.

`MAILWEIR_TEST_KILLS` and `MAILWEIR_TEST_MAILS` make it longer: the issue's own figures are 20 and 5,000.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import smtplib
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from tests.flows.settled import api, archive, depth, key, until
from tests.system import System

pytestmark = pytest.mark.system
N_KILLS = int(os.environ.get("MAILWEIR_TEST_KILLS", "4"))
N_MAILS = int(os.environ.get("MAILWEIR_TEST_MAILS", "1500"))
SESSIONS = 20


@pytest.fixture
def system(own_database_url: str) -> Iterator[System]:
    settings = {"MAILWEIR_SESSIONS": str(SESSIONS), "MAILWEIR_WORKERS": "2"}
    with System(database_url=own_database_url, settings=settings) as running:
        yield running


def recipients_of(n: int) -> list[str]:
    """`n` recipients over 40 domains."""
    return [f"user{i}@d{i % 40}.kill.test" for i in range(n)]


def submit(system: System, recipients: list[str]) -> None:
    """One mail to each, by one SMTP connection."""
    with smtplib.SMTP(*system.smtp_address) as client:
        for number, recipient in enumerate(recipients):
            source = f"Subject: {number}\r\nMessage-ID: <{number}@kill.test>\r\n\r\n{'x' * 70}\r\n"
            client.sendmail("a@kill.test", [recipient], source.encode())


@contextlib.contextmanager
def load(system: System, recipients: list[str], n_clients: int = 4) -> Iterator[None]:
    """Mail comes in by several connections while the block runs, and all of it is in at its end."""
    with ThreadPoolExecutor(n_clients) as pool:
        waiting = [pool.submit(submit, system, recipients[n::n_clients]) for n in range(n_clients)]
        yield
        for each in waiting:
            each.result(timeout=300)


def runners(system: System) -> list[int]:
    """Process ids of the queue runners at work: what the RQ workers of this system forked."""
    return [pid for pid in system.children() if _name(_parent(pid)).startswith("mw-worker")]


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def drained(system: System, n: int, within: float) -> dict[str, int]:
    def done() -> dict[str, int] | None:
        now = depth(system)
        return now if now["delivered"] == n else None

    return until(done, within, f"not everything was delivered: {depth(system)}") or {}


def received(system: System) -> Counter[str]:
    return Counter(receipt.recipient for receipt in archive(system).receipts())


def ambiguous(system: System) -> set[str]:
    found: set[str] = set()
    cursor = ""
    while True:
        page = api(system, f"/api/v1/deliveries?q=is:ambiguous&limit=500&cursor={cursor}")
        found |= {item["to"] for item in page["items"]}
        cursor = page["next"] or ""
        if not cursor:
            return found


def test_a_killed_runner_loses_nothing_and_hides_no_repeat(system: System) -> None:
    key(system)
    recipients = recipients_of(N_MAILS)
    n_killed = 0
    rng = random.Random(7)
    with load(system, recipients):
        while n_killed < N_KILLS and depth(system)["delivered"] < N_MAILS:
            time.sleep(rng.uniform(0.05, 0.4))
            for pid in runners(system)[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    n_killed += 1
    drained(system, N_MAILS, 240)
    got = received(system)
    repeated = {recipient for recipient, n in got.items() if n > 1}
    print(json.dumps({"killed": n_killed, "repeated": len(repeated), "ambiguous": len(ambiguous(system))}))
    assert n_killed, "the drain was over before a runner could be killed"
    assert set(got) == set(recipients), "a delivery was lost"
    assert sum(n - 1 for n in got.values()) <= n_killed * SESSIONS
    assert repeated <= ambiguous(system), "a repeat is not in the list"


@pytest.mark.timed
def test_flushall_under_load_loses_nothing(system: System) -> None:
    key(system)
    recipients = recipients_of(N_MAILS)
    client = redis.Redis(unix_socket_path=str(system.home / "valkey.sock"))
    with load(system, recipients):
        for _ in range(5):
            before = depth(system)["delivered"]
            client.flushall()
            time.sleep(0.3)
    if before < N_MAILS:
        until(lambda: depth(system)["delivered"] > before, 10, "the drain did not go on within 10 s")
    drained(system, N_MAILS, 120)
    assert received(system) == Counter(recipients)


@pytest.mark.timed
def test_new_mail_goes_out_soon_after_flushall_on_an_idle_system(system: System) -> None:
    submit(system, ["first@kill.test"])
    drained(system, 1, 20)
    redis.Redis(unix_socket_path=str(system.home / "valkey.sock")).flushall()
    submit(system, recipients_of(10))
    drained(system, 11, 15)
