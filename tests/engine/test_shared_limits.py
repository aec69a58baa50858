"""What a receiver sees is within its limits: sessions, mails of a time, mails by one connection."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.db import connections
from django.utils import timezone

from queueapp import conf
from queueapp.conf import Rate
from queueapp.engine.runner import QueueRunner
from queueapp.models import Delivery, RecipientDomain, Route, Runner, Site, revision
from tests.counting_sink import CountingSink
from tests.engine.queue import n_wrong_counters, put, run_once, states
from tests.valkey import ValkeyServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with conf.override(home=tmp_path):
        yield tmp_path


def to(sink: CountingSink) -> None:
    Route.objects.create(pattern="*", kind="relay", host=sink.host, port=sink.port, tls="none")


def in_a_fork(number: int, **values: float) -> int:
    """A runner in a process of its own; returns its process id."""
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            connections.close_all()
            QueueRunner(f"runner-{number}", **{"lifetime": 20.0, "linger": 0.5} | values).run()
            code = 0
        finally:
            os._exit(code)
    return pid


def ended_well(*pids: int) -> bool:
    return all(os.waitpid(pid, 0)[1] == 0 for pid in pids)


def test_two_runners_together_keep_to_a_sites_sessions(home: Path) -> None:
    with conf.override(site_sessions=3), CountingSink(takes=0.02) as sink:
        to(sink)
        for n in range(150):
            put(f"u{n}@d{n % 5}.test", name=str(n))
        other = in_a_fork(1)
        run_once(linger=0.5)
        assert ended_well(other)
    assert set(states().values()) == {"delivered"}
    assert sink.most_at_once == 3
    assert n_wrong_counters() == 0


def test_one_session_is_one_session(home: Path) -> None:
    with conf.override(site_sessions=1), CountingSink(takes=0.01) as sink:
        to(sink)
        for n in range(40):
            put(f"u{n}@d{n % 5}.test", name=str(n))
        other = in_a_fork(1)
        run_once(linger=0.5)
        assert ended_well(other)
        run_once(linger=0.5)
    assert set(states().values()) == {"delivered"}
    assert sink.most_at_once == 1


def test_a_rate_holds_over_all_runners(home: Path) -> None:
    rate = Rate(20, 1)
    with conf.override(site_rate=rate), CountingSink() as sink:
        to(sink)
        for n in range(60):
            put(f"u{n}@d{n % 3}.test", name=str(n))
        other = in_a_fork(1, lifetime=15.0)
        run_once(linger=0.5, lifetime=15.0)
        assert ended_well(other)
    assert set(states().values()) == {"delivered"}
    # The sink's clock and loop are not the runners': a stretch is measured with half a second of play.
    assert sink.most_within(1.0) <= 20 * 1.5
    assert sink.most_within(2.0) <= 20 * 2.5
    assert max(sink.mails) - min(sink.mails) > 60 / 20 - 0.5


def test_a_slow_rate_makes_mail_wait_in_the_queue_and_not_in_a_runner(home: Path) -> None:
    with CountingSink() as sink:
        to(sink)
        for n in range(5):
            put(f"u{n}@d.test", name=str(n))
        with conf.override(site_rate=Rate(10, 3600)):
            began = time.monotonic()
            run_once(linger=0.3)
            took = time.monotonic() - began
            first = sorted(states().values())
            again = run_once(linger=0.3)
        assert first == ["delivered"] + ["queued"] * 4
        assert took < 15, "it held on to mail that can't go"
        assert not again.has_more, "runner after runner would start for nothing"
        assert len(sink.mails) == 1
    site = Site.objects.get()
    assert site.next_at is not None
    assert 300 < (site.next_at - timezone.now()).total_seconds() < 400
    assert set(Delivery.objects.filter(state="queued").values_list("n_attempts", flat=True)) == {0}


def test_a_domain_with_a_rate_does_not_hold_up_the_others_of_its_site(home: Path) -> None:
    with CountingSink() as sink:
        to(sink)
        for n in range(20):
            put(f"u{n}@slow.test", name=str(n), priority=9)
        RecipientDomain.objects.filter(name="slow.test").update(rate="10/h")
        for n in range(20):
            put(f"u{n}@quick.test", name=str(n), priority=1)
        run_once(linger=0.3)
    found = states()
    assert sum(found[f"u{n}@quick.test"] == "delivered" for n in range(20)) == 20
    assert sum(found[f"u{n}@slow.test"] == "delivered" for n in range(20)) == 1
    assert RecipientDomain.objects.get(name="slow.test").next_at > timezone.now()
    assert Site.objects.get().next_at is None


@pytest.mark.once
def test_a_receiver_that_is_slow_to_greet_gets_its_mail_in_spite_of_a_rate(home: Path) -> None:
    def slowly(verb: str, line: str) -> None:
        if verb == "CONNECT":
            time.sleep(0.4)

    with conf.override(site_rate=Rate(4, 1)), CountingSink(answer=slowly) as sink:
        to(sink)
        for n in range(4):
            put(f"u{n}@d.test", name=str(n))
        run_once(linger=0.5)
    assert set(states().values()) == {"delivered"}


@pytest.mark.once
def test_a_connection_carries_no_more_mails_than_it_may(home: Path) -> None:
    with conf.override(session_mails=4, site_sessions=2), CountingSink() as sink:
        to(sink)
        for n in range(40):
            put(f"u{n}@d.test", name=str(n))
        run_once()
    assert set(states().values()) == {"delivered"}
    assert sink.n_connections >= 10
    assert sink.most_at_once <= 2


@pytest.mark.once
def test_priority_is_kept_under_a_rate(home: Path) -> None:
    order: list[str] = []

    def note(verb: str, line: str) -> None:
        if verb == "RCPT":
            order.append(line)

    with conf.override(site_rate=Rate(20, 1), site_sessions=1), CountingSink(answer=note) as sink:
        to(sink)
        for n in range(10):
            put(f"low{n}@d.test", name=str(n), priority=1)
        for n in range(10):
            put(f"high{n}@d.test", name=str(n), priority=8)
        run_once()
    assert [("high" in line) for line in order] == [True] * 10 + [False] * 10


@pytest.mark.once
def test_a_changed_limit_counts_within_seconds(home: Path) -> None:
    with conf.override(site_sessions=8), CountingSink(takes=0.2) as sink:
        to(sink)
        for n in range(300):
            put(f"u{n}@d.test", name=str(n))
        seen: list[int] = []

        def lower() -> None:
            try:
                end = time.monotonic() + 20
                while sink.most_at_once < 8 and time.monotonic() < end:
                    time.sleep(0.01)
                Site.objects.update(max_sessions=2)
                revision.bump()
                time.sleep(4)
                sink.most_at_once, n = 0, len(sink.mails)
                while len(sink.mails) < n + 10 and time.monotonic() < end:
                    time.sleep(0.01)
                seen.extend((sink.most_at_once, len(sink.mails)))
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                connections.close_all()

        thread = threading.Thread(target=lower)
        thread.start()
        run_once(lifetime=40.0)
        thread.join(30)
    most_at_once, n_then = seen
    assert n_then < 300, "all was over before the limit could count"
    assert most_at_once <= 2


# ── Redis is away, or empty ───────────────────────────────────────────────────────────────────


def test_without_redis_two_runners_share_sessions_through_the_database(home: Path) -> None:
    away = conf.override(redis_url="unix:///nowhere/at/all.sock")
    with away, conf.override(site_sessions=4), CountingSink(takes=0.02) as sink:
        to(sink)
        for n in range(100):
            put(f"u{n}@d{n % 5}.test", name=str(n))
        other = in_a_fork(1)
        run_once(linger=1.0)
        assert ended_well(other)
    assert set(states().values()) == {"delivered"}
    assert sink.most_at_once <= 4


def test_an_emptied_redis_gives_nobody_more(home: Path, valkey: ValkeyServer) -> None:
    with conf.override(site_sessions=4), CountingSink(takes=0.03) as sink:
        to(sink)
        for n in range(300):
            put(f"u{n}@d{n % 5}.test", name=str(n))
        other = in_a_fork(1, lifetime=30.0)

        def empty() -> None:
            client = redis.Redis.from_url(valkey.url)
            for _ in range(3):
                time.sleep(0.8)
                client.flushall()

        thread = threading.Thread(target=empty)
        thread.start()
        run_once(linger=1.5, lifetime=30.0)
        thread.join(20)
        assert ended_well(other)
    assert set(states().values()) == {"delivered"}
    assert sink.most_at_once <= 4
    assert not Runner.objects.filter(ended_at__isnull=True).exists()


def test_without_redis_a_site_with_a_rate_pauses_and_others_go_on(home: Path) -> None:
    away = conf.override(redis_url="unix:///nowhere/at/all.sock")
    with away, CountingSink() as sink:
        to(sink)
        put("a@paced.test")
        RecipientDomain.objects.update(rate="600/m")
        put("b@free.test")
        run_once(linger=1.5, lifetime=5.0)
    assert states() == {"a@paced.test": "queued", "b@free.test": "delivered"}
