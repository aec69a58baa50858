"""What a dead runner held: what went back, what was settled, what is called ambiguous."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone

from queueapp import conf
from queueapp.engine import journal, lease, reaper
from queueapp.engine.claim import Claimed, claim
from queueapp.engine.journal import Journal
from queueapp.engine.reaper import reap
from queueapp.models import Attempt, Delivery, RecipientDomain, Runner
from tests.engine.queue import DELIVERED, claimed, n_wrong_counters, put, record, states

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    reaper._suspects.clear()
    with conf.override(home=tmp_path):
        yield tmp_path / "journal"
    reaper._suspects.clear()


def dies(runner: int, *, dots: list[Claimed] = (), replied: list[Claimed] = ()) -> None:  # type: ignore[assignment]
    """A runner of this machine that leaves a journal and no lock."""
    ours = Journal(conf.current().journal, runner)
    for row in dots:
        ours.before_dot([(row.id, row.n_attempts)])
    for row in replied:
        ours.replied([(row.id, row.n_attempts)], [DELIVERED], timezone.now())
    ours.close(keep=True)


def of_another_machine(runner: int, *, lapsed: bool = True) -> None:
    Runner.objects.filter(pk=runner).update(machine="elsewhere:/srv/mailweir")
    if lapsed:
        lapse(runner)


def lapse(runner: int) -> None:
    Runner.objects.filter(pk=runner).update(lease_until=timezone.now() - timedelta(seconds=1))


# ── On this machine ───────────────────────────────────────────────────────────────────────────


def test_a_dead_runner_here_is_known_at_once_and_what_it_never_sent_goes_back_untouched(folder: Path) -> None:
    put("bob@example.net")
    runner, _ = claimed()
    dies(runner)
    assert Runner.objects.alive().filter(pk=runner).exists()
    assert reap() == 1
    row = Delivery.objects.get()
    assert (row.state, row.n_attempts, row.runner_id, row.n_reaped) == ("queued", 0, None, 1)
    assert row.next_attempt_at <= timezone.now()
    assert not row.is_ambiguous
    assert not Attempt.objects.exists()
    assert RecipientDomain.objects.get().due_at <= timezone.now()
    assert Runner.objects.get(pk=runner).ended_at
    assert list(folder.iterdir()) == []
    assert n_wrong_counters() == 0


def test_a_reply_that_was_read_is_recorded_and_a_dot_without_one_is_ambiguous() -> None:
    put("read@x.test", "sent@x.test", "never@x.test")
    runner, rows = claimed()
    by_to = {row.recipient.partition("@")[0]: row for row in rows}
    dies(runner, dots=[by_to["read"], by_to["sent"]], replied=[by_to["read"]])
    assert reap() == 3
    assert states() == {"read@x.test": "delivered", "sent@x.test": "deferred", "never@x.test": "queued"}
    assert [row.recipient for row in Delivery.objects.ambiguous()] == ["sent@x.test"]
    attempt = Attempt.objects.get(is_ambiguous=True)
    assert (attempt.delivery_id, attempt.rule, attempt.stage) == (by_to["sent"].id, "reaped", "dot")
    assert n_wrong_counters() == 0


def test_lines_of_an_earlier_attempt_say_nothing_of_this_one() -> None:
    put("bob@example.net")
    runner, rows = claimed()
    rows[0].n_attempts = 7
    dies(runner, dots=rows)
    reap()
    assert not Delivery.objects.get().is_ambiguous


def test_what_was_committed_already_is_left_alone() -> None:
    put("bob@example.net")
    runner, rows = claimed()
    record(runner, rows, DELIVERED)
    dies(runner, dots=rows, replied=rows)
    assert reap() == 0
    assert Attempt.objects.count() == 1


def test_a_living_runner_is_left_alone(folder: Path) -> None:
    put("bob@example.net")
    runner, _ = claimed()
    ours = Journal(folder, runner)
    lapse(runner)  # it hangs, or the clock jumped: its lock tells that it lives
    assert reap(patience=0) == 0
    assert states() == {"bob@example.net": "sending"}
    ours.close(keep=True)
    assert reap() == 1


def test_from_the_second_death_on_it_waits_twice_as_long_each_time() -> None:
    put("bob@example.net")
    for n_reaped in (1, 2, 3):
        runner, rows = claimed()
        assert len(rows) == 1
        dies(runner)
        reap()
        row = Delivery.objects.get()
        assert row.n_reaped == n_reaped
        waits = (row.next_attempt_at - timezone.now()).total_seconds()
        assert waits <= 0 if n_reaped == 1 else 0.5 < waits / (5 * 2 ** (n_reaped - 2)) <= 1
        Delivery.objects.update(next_attempt_at=timezone.now())
        RecipientDomain.objects.update(due_at=timezone.now())


def test_one_broken_journal_keeps_no_other_from_being_read(folder: Path) -> None:
    put("a@x.test")
    put("b@x.test")
    runner = lease.begin("runner-0")
    first = claim(runner, 1)
    other, second = claimed(1)
    dies(runner, dots=first)
    dies(other, dots=second)
    (folder / f"{runner}.1").unlink()
    (folder / f"{runner}.1").mkdir()
    (folder / "junk.lock").touch()
    reap()
    assert Delivery.objects.get(pk=second[0].id).state == "deferred"


def test_a_reply_that_can_not_be_stored_costs_no_other(folder: Path) -> None:
    put("a@x.test", "b@x.test")
    runner, rows = claimed()
    dies(runner, dots=rows, replied=rows)
    path = folder / f"{runner}.1"
    path.write_bytes(path.read_bytes().replace(b'"delivered"', b'"' + b"x" * 5000 + b'"', 1))
    reap()
    assert not Delivery.objects.filter(state="sending").exists()
    assert Delivery.objects.get(pk=rows[1].id).state == "delivered"


def test_thousands_of_claims_go_back() -> None:
    put(*(f"u{n}@x.test" for n in range(700)))
    put(*(f"v{n}@x.test" for n in range(700)))
    runner = lease.begin("runner-0")
    n = 0
    while rows := claim(runner, 1000):
        n += len(rows)
    dies(runner)
    assert n == 1400
    assert reap() == 1400
    assert n_wrong_counters() == 0


# ── On another machine, or with nothing left here ─────────────────────────────────────────────


def test_on_another_machine_the_lease_decides_and_all_is_ambiguous() -> None:
    put("a@x.test", "b@x.test")
    runner, _ = claimed()
    of_another_machine(runner, lapsed=False)
    assert reap(patience=0) == 0
    lapse(runner)
    assert reap(patience=0) == 2
    assert set(states().values()) == {"deferred"}
    assert Delivery.objects.ambiguous().count() == Attempt.objects.filter(is_ambiguous=True).count() == 2
    assert Runner.objects.get(pk=runner).ended_at


def test_a_runner_elsewhere_may_renew_when_the_database_is_back() -> None:
    put("a@x.test")
    runner, _ = claimed()
    of_another_machine(runner)
    assert reap(patience=0.3) == 0
    assert lease.renew(runner, {"n_claimed": 1})
    time.sleep(0.35)
    assert reap(patience=0.3) == 0
    lapse(runner)
    assert reap(patience=0.3) == 0
    time.sleep(0.35)
    assert reap(patience=0.3) == 1


def test_without_its_journal_a_runner_here_is_judged_by_its_lease() -> None:
    put("a@x.test")
    runner, _ = claimed()
    assert reap(patience=0) == 0
    lapse(runner)
    assert reap(patience=0) == 1
    assert Delivery.objects.get().is_ambiguous


@pytest.mark.parametrize("is_known", [True, False])
def test_nothing_stays_in_sending_under_a_token_that_is_over(is_known: bool) -> None:
    """It claimed when a reaper had already ended it; or its row is pruned."""
    put("a@x.test")
    runner, _ = claimed()
    lease.end(runner)
    if not is_known:
        Runner.objects.all().delete()
    assert reap() == 0
    assert reap(patience=0) == 1
    assert states() == {"a@x.test": "deferred"}
    assert reap(patience=0) == 0


def test_a_runner_that_was_ended_can_not_renew() -> None:
    runner = lease.begin("runner-0")
    assert lease.renew(runner, {})
    assert lease.end(runner)
    assert not lease.end(runner)
    assert not lease.renew(runner, {})


# ── Races ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db(transaction=True)
def test_reapers_that_race_settle_once() -> None:
    put(*(f"u{n}@x.test" for n in range(600)))
    runner = lease.begin("runner-0")
    while claim(runner, 1000):
        pass
    counts: list[int] = []
    barrier = threading.Barrier(3)

    def work() -> None:
        try:
            barrier.wait(10)
            counts.append(reaper._take_back(runner, None))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(counts) == 600
    assert Attempt.objects.count() == 600
    assert set(Delivery.objects.values_list("n_reaped", flat=True)) == {1}
    assert n_wrong_counters() == 0


def test_a_dead_process_leaves_its_lock_to_the_reaper(folder: Path) -> None:
    put("bob@example.net")
    runner, rows = claimed()
    code = (
        "import sys, os, signal, pathlib\n"
        "from queueapp.engine.journal import Journal\n"
        f"Journal(pathlib.Path(sys.argv[1]), {runner}).before_dot([({rows[0].id}, 1)])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    child = subprocess.run([sys.executable, "-c", code, str(folder)], timeout=30, check=False)
    assert child.returncode == -9
    assert journal.known_runners(folder) == [runner]
    assert reap() == 1
    assert Delivery.objects.get().is_ambiguous
    assert list(folder.iterdir()) == []
