"""Three machines share a receiver's limits: no more sessions and no more mails than it takes, as the
receiver itself counts them, and while runners and a whole machine are killed.

Three homes with their own `up` on one database and one Redis count as three machines: nothing else is
shared between them. `MAILWEIR_TEST_MAILS` makes it longer; `MAILWEIR_TEST_OVERDUE=100000` with
`MAILWEIR_TEST_OVERDUE_RATE=1000`, and `-o timeout=0`, is the issue's own figure for a resumed site.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.counting_sink import CountingSink
from tests.faults.test_killed_runner import depth, runners, submit
from tests.flows.settled import key, until
from tests.system import System
from tests.valkey import ValkeyServer

pytestmark = [pytest.mark.system, pytest.mark.timed]
N_MAILS = int(os.environ.get("MAILWEIR_TEST_MAILS", "400"))
SESSIONS, RATE = 5, 60
N_OVERDUE = int(os.environ.get("MAILWEIR_TEST_OVERDUE", "200"))
OVERDUE_RATE = int(os.environ.get("MAILWEIR_TEST_OVERDUE_RATE", "50"))
# The sink's clock and loop are not the runners': a stretch is measured with this much play.
PLAY = 0.5


@contextlib.contextmanager
def machines(sink: CountingSink, database_url: str, n: int = 3, **settings: str) -> Iterator[list[System]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mw-")))
        valkey = stack.enter_context(ValkeyServer(folder / "valkey.sock"))
        shared = {
            "MAILWEIR_ROUTE": f"smtp://127.0.0.1:{sink.port}?tls=none",
            "REDIS_URL": valkey.url,
            "MAILWEIR_WORKERS": "1",
            **settings,
        }
        url = database_url or f"sqlite:///{folder / 'queue.sqlite3'}"
        yield [stack.enter_context(System(database_url=url, settings=shared)) for _ in range(n)]


def test_no_receiver_sees_more_than_its_limits(own_database_url: str) -> None:
    limits = {"MAILWEIR_SITE_SESSIONS": str(SESSIONS), "MAILWEIR_SITE_RATE": f"{RATE}/s"}
    with CountingSink(takes=0.03) as sink, machines(sink, own_database_url, **limits) as systems:
        one, _, third = systems
        key(one)
        submit(one, [f"user{n}@d{n % 40}.limit.test" for n in range(N_MAILS)])
        until(lambda: len(sink.mails) > N_MAILS // 8, 60, "nothing moves")
        for system in systems[:2]:
            for pid in runners(system)[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        until(lambda: len(sink.mails) > N_MAILS // 2, 90, "nothing moves after runners were killed")
        third.kill()
        # What the lost machine held waits for its lease: a minute, and longer than this test looks.
        until(lambda: depth(one)["delivered"] >= N_MAILS - 200, 90, f"it does not go on: {depth(one)}")
        n_peers = len(sink.mails)
    assert sink.most_at_once <= SESSIONS
    assert sink.most_within(1.0) <= RATE * (1 + PLAY)
    assert sink.most_within(3.0) <= RATE * (3 + PLAY)
    assert n_peers > N_MAILS // 2


def test_a_resumed_site_is_not_run_over(own_database_url: str) -> None:
    """Much overdue mail and no limit on its age: it goes at the site's rate, from the first second on."""
    limits = {"MAILWEIR_SITE_RATE": f"{OVERDUE_RATE}/s", "MAILWEIR_WORKERS": "2"}
    with CountingSink() as sink, machines(sink, own_database_url, n=1, **limits) as (one,):
        submit(one, ["first@big.test"])
        until(lambda: len(sink.mails) == 1, 30, "nothing moves")
        post(one, "/api/v1/domains/big.test/suspend")
        submit(one, [f"user{n}@big.test" for n in range(N_OVERDUE)])
        time.sleep(1)
        assert len(sink.mails) == 1
        post(one, "/api/v1/domains/big.test/resume")
        within = 60 + 2 * N_OVERDUE / OVERDUE_RATE
        until(lambda: depth(one)["delivered"] == N_OVERDUE + 1, within, f"it does not drain: {depth(one)}")
    print(f"most in a second: {sink.most_within(1.0)}, in 3: {sink.most_within(3.0)}, limit {OVERDUE_RATE}/s")
    assert sink.most_within(1.0) <= OVERDUE_RATE * (1 + PLAY)
    assert sink.most_within(3.0) <= OVERDUE_RATE * (3 + PLAY)


def post(system: System, path: str) -> None:
    request = urllib.request.Request(system.http + path, b"", {"Authorization": f"Bearer {key(system)}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200
