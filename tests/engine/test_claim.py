"""Claims: which rows, in which order, by whom, and how the domains' figures stay right."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queueapp.engine import lease, reaper
from queueapp.engine.claim import Claimed, claim, release
from queueapp.models import WAITING, Attempt, Delivery, Message, RecipientDomain, Site, State
from tests.engine.queue import DEFERRED, DELIVERED, NO_USER, claimed, n_wrong_counters, put, record, states


def to_of(rows: list[Claimed]) -> list[str]:
    return [row.recipient for row in rows]


def many(domain: str, n: int) -> None:
    """Rows for speed: one message to as many of the domain."""
    start = Delivery.objects.count()
    for at in range(0, n, 1000):
        put(*(f"u{start + at + each}@{domain}" for each in range(min(1000, n - at))), name=f"{domain}{at}")


# ── Which ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_it_takes_what_is_due_and_marks_it_with_the_token() -> None:
    put("bob@example.net")
    before = timezone.now()
    runner, [row] = claimed()
    found = Delivery.objects.get()
    assert (found.state, found.runner_id, found.n_attempts) == ("sending", runner, 1)
    assert found.next_attempt_at >= before + timedelta(minutes=4)
    assert (row.id, row.n_attempts, row.state_before, row.domain) == (found.pk, 1, "queued", "example.net")
    domain = RecipientDomain.objects.get()
    assert (domain.n_queued, domain.n_sending, domain.due_at) == (0, 1, None)
    assert not Attempt.objects.exists()


@pytest.mark.django_db
def test_it_leaves_what_is_not_due() -> None:
    put("bob@example.net", send_at=timezone.now() + timedelta(seconds=60))
    assert claimed()[1] == []
    assert states() == {"bob@example.net": "queued"}


@pytest.mark.django_db
@pytest.mark.parametrize("state", [each for each in State if each not in WAITING])
def test_it_leaves_every_state_that_does_not_wait(state: str) -> None:
    put("bob@example.net")
    Delivery.objects.update(state=state)
    assert claimed()[1] == []


@pytest.mark.django_db
def test_it_never_takes_more_than_asked_for() -> None:
    for n in range(30):
        put(f"u@d{n}.test", f"v@d{n}.test")
    runner, rows = claimed(7)
    assert len(rows) == 7
    assert Delivery.objects.filter(state="sending").count() == 7
    assert len(claim(runner, 100)) == 53


@pytest.mark.django_db
def test_higher_priorities_of_a_domain_go_first() -> None:
    for priority in (0, 5, 9, 3):
        put(f"p{priority}@example.net", priority=priority)
    runner = lease.begin("runner-0")
    assert [to_of(claim(runner, 1)) for _ in range(4)] == [[f"p{n}@example.net"] for n in (9, 5, 3, 0)]


@pytest.mark.django_db
def test_within_a_priority_who_waits_longest_goes_first() -> None:
    now = timezone.now()
    ids = put(*(f"u{n}@example.net" for n in range(3)))
    for n, pk in enumerate(ids):
        Delivery.objects.filter(pk=pk).update(next_attempt_at=now - timedelta(minutes=n))
    assert to_of(claimed(1)[1]) == ["u2@example.net"]


@pytest.mark.django_db
def test_a_domain_with_thousands_does_not_starve_one_with_three() -> None:
    many("big.test", 5000)
    put(*(f"{n}@small.test" for n in "abc"))
    _, rows = claimed(1000)
    assert Counter(row.domain for row in rows)["small.test"] == 3
    assert Counter(row.domain for row in rows)["big.test"] > 100


@pytest.mark.django_db
def test_a_domain_with_more_to_give_goes_to_the_end_of_the_line() -> None:
    for n in range(6):
        many(f"d{n}.test", 3)
    runner, seen = lease.begin("runner-0"), []
    for _ in range(3):
        seen.append({row.domain for row in claim(runner, 2, per_domain=1, max_domains=2)})
    assert set.union(*seen) == {f"d{n}.test" for n in range(6)}


@pytest.mark.django_db
def test_suspended_domains_wait_until_the_end_of_it() -> None:
    put("a@now.test")
    put("a@over.test")
    put("a@open.test")
    now = timezone.now()
    suspend = RecipientDomain.objects.filter
    suspend(name="now.test").update(suspended_at=now, suspended_until=now + timedelta(hours=1))
    suspend(name="over.test").update(suspended_at=now, suspended_until=now - timedelta(seconds=1))
    suspend(name="open.test").update(suspended_at=now, suspended_until=None)
    assert to_of(claimed()[1]) == ["a@over.test"]


@pytest.mark.django_db
def test_domains_of_a_suspended_site_wait_until_the_end_of_it() -> None:
    now = timezone.now()
    for name, until in (
        ("now", now + timedelta(hours=1)),
        ("over", now - timedelta(seconds=1)),
        ("open", None),
    ):
        put(f"a@{name}.test")
        site = Site.objects.create(key=name, name=name, route="mx", suspended_at=now, suspended_until=until)
        RecipientDomain.objects.filter(name=f"{name}.test").update(site=site)
    due = RecipientDomain.objects.due(now + timedelta(seconds=1))
    assert [row.name for row in due] == ["over.test"]
    assert to_of(claimed()[1]) == ["a@over.test"]


@pytest.mark.django_db
def test_sites_with_enough_work_are_left_out_and_unknown_ones_are_not() -> None:
    for name in ("busy", "free", "new"):
        put(f"a@{name}.test")
    busy, free = (Site.objects.create(key=name, name=name, route="mx") for name in ("busy", "free"))
    RecipientDomain.objects.filter(name="busy.test").update(site=busy)
    RecipientDomain.objects.filter(name="free.test").update(site=free)
    rows = claim(lease.begin("runner-0"), 10, skip_sites=[busy.pk])
    assert sorted(to_of(rows)) == ["a@free.test", "a@new.test"]
    assert RecipientDomain.objects.get(name="busy.test").due_at is not None


@pytest.mark.django_db
def test_the_domains_own_policy_comes_with_the_claim() -> None:
    put("bob@example.net")
    put("eve@example.net", expires_at=timezone.now() + timedelta(days=9))
    RecipientDomain.objects.update(
        retry_first=timedelta(seconds=7), retry_cap=timedelta(seconds=70), max_age=timedelta(hours=2)
    )
    _, rows = claimed()
    by_to = {row.recipient: row for row in rows}
    bob, eve = by_to["bob@example.net"], by_to["eve@example.net"]
    assert (bob.retry_first, bob.retry_cap) == (7, 70)
    assert bob.expires_at == bob.accepted_at + timedelta(hours=2)
    assert eve.expires_at > timezone.now() + timedelta(days=8)


@pytest.mark.django_db
def test_the_age_counts_from_the_time_that_was_asked_for() -> None:
    at = timezone.now() + timedelta(days=3)
    put("bob@example.net", send_at=at)
    Delivery.objects.update(next_attempt_at=timezone.now())
    RecipientDomain.objects.update(due_at=timezone.now())
    assert claimed()[1][0].waits_since == at


@pytest.mark.django_db
def test_claims_given_back_are_as_they_were() -> None:
    put("bob@example.net", "eve@example.net")
    runner, rows = claimed()
    record(runner, [row for row in rows if row.recipient == "eve@example.net"], DEFERRED)
    Delivery.objects.filter(state="deferred").update(next_attempt_at=timezone.now())
    RecipientDomain.objects.update(due_at=timezone.now())
    rows = [row for row in rows if row.recipient == "bob@example.net"] + claim(runner, 10)
    assert release(runner, rows) == 2
    assert states() == {"bob@example.net": "queued", "eve@example.net": "deferred"}
    assert dict(Delivery.objects.values_list("recipient", "n_attempts")) == {
        "bob@example.net": 0,
        "eve@example.net": 1,
    }
    assert not Delivery.objects.filter(runner_id__isnull=False).exists()
    assert n_wrong_counters() == 0
    assert len(claim(runner, 10)) == 2


@pytest.mark.django_db
def test_only_the_owner_gives_claims_back() -> None:
    put("bob@example.net")
    runner, rows = claimed()
    assert release(runner + 1, rows) == 0
    assert release(runner, rows) == 1
    assert release(runner, rows) == 0
    assert Delivery.objects.get().n_attempts == 0


@pytest.mark.django_db
def test_a_stale_time_of_a_domain_is_put_right_by_the_claim() -> None:
    put("bob@example.net")
    Delivery.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    assert claimed()[1] == []
    assert RecipientDomain.objects.get().due_at == Delivery.objects.get().next_attempt_at


# ── Several at once ───────────────────────────────────────────────────────────────────────────


def in_threads(n: int, work: Any) -> None:
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors, errors


@pytest.mark.django_db(transaction=True)
def test_two_claimers_never_get_one_row_twice() -> None:
    for n in range(10):
        many(f"d{n}.test", 40)
    got: list[list[int]] = [[], []]
    barrier = threading.Barrier(2)

    def work(number: int) -> None:
        runner = lease.begin(f"runner-{number}")
        barrier.wait(10)
        n_empty = 0
        while n_empty < 3:
            rows = claim(runner, 23)
            n_empty = 0 if rows else n_empty + 1
            got[number] += [row.id for row in rows]

    in_threads(2, work)
    assert len(got[0] + got[1]) == len(set(got[0] + got[1])) == 400
    assert n_wrong_counters() == 0


@pytest.mark.django_db(transaction=True)
def test_accepting_claiming_and_recording_at_once_neither_deadlock_nor_lose_a_count() -> None:
    claimed_rows: list[int] = []
    all_in = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            for n in range(25):
                put(*(f"u{n}@d{each}.test" for each in (n % 5, (n * 3) % 5, 4 - n % 5)), name=str(n))
            all_in.set()
            return
        runner = lease.begin(f"runner-{number}")
        while True:
            was_all_in = all_in.is_set()
            rows = claim(runner, 10)
            if not rows and was_all_in:
                return  # the reports of what others still record are theirs to claim
            record(runner, rows[::2], DELIVERED)
            record(runner, rows[1::2], NO_USER)
            claimed_rows.extend(row.id for row in rows)

    in_threads(3, work)
    # Bounces made reports, which were claimed like any mail; who is suppressed by then was not.
    assert len(claimed_rows) == Delivery.objects.exclude(last_class="suppressed").count() >= 60
    assert not Delivery.objects.exclude(state__in=("delivered", "bounced")).exists()
    assert n_wrong_counters() == 0


@pytest.mark.django_db(transaction=True)
def test_a_row_in_somebody_elses_hands_is_neither_waited_for_nor_overwritten() -> None:
    """As an operation that holds deliveries would: rows first, then their domains."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    put("bob@example.net", "eve@example.net")
    runner = lease.begin("runner-0")
    with transaction.atomic():
        bob = Delivery.objects.select_for_update().get(recipient="bob@example.net")
        got: list[str] = []
        in_threads(1, lambda _: got.extend(to_of(claim(runner, 10))))
        Delivery.objects.filter(pk=bob.pk).update(state=State.HELD)
    assert got == ["eve@example.net"]
    assert states() == {"bob@example.net": "held", "eve@example.net": "sending"}


# ── Any sequence ──────────────────────────────────────────────────────────────────────────────

_STEPS = st.sampled_from(("put", "later", "claim", "claim some", "record", "release", "reap", "time"))


@pytest.mark.django_db
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_STEPS, st.integers(0, 9)), min_size=3, max_size=18))
def test_counters_and_due_times_are_right_after_any_sequence(steps: list[tuple[str, int]]) -> None:
    with transaction.atomic():
        hands: dict[int, list[Claimed]] = {}
        for step, n in steps:
            _do(step, n, hands)
            _check(step)
        transaction.set_rollback(True)


def _do(step: str, n: int, hands: dict[int, list[Claimed]]) -> None:
    if step in ("put", "later"):
        at = timezone.now() + timedelta(hours=n) if step == "later" else None
        put(*(f"u{each}@d{each % 3}.test" for each in range(n % 4 + 1)), priority=n, send_at=at)
    elif step.startswith("claim"):
        runner = lease.begin("runner-0")
        hands[runner] = claim(runner, 2 if step == "claim some" else 50, per_domain=n % 3 + 1)
    elif step == "time":
        # What was deferred or put off becomes due, as it does by itself.
        Delivery.objects.waiting().update(next_attempt_at=timezone.now() - timedelta(seconds=n))
        RecipientDomain.objects.filter(due_at__isnull=False).update(
            due_at=timezone.now() - timedelta(seconds=n)
        )
    elif hands:
        runner = sorted(hands)[n % len(hands)]
        rows = hands.pop(runner)
        if step == "record" and rows:
            record(runner, rows, (DELIVERED, DEFERRED, NO_USER)[n % 3])
        elif step == "release":
            release(runner, rows)
        elif step == "reap":
            reaper._take_back(runner, {(row.id, row.n_attempts) for row in rows[::2]})


def _check(step: str) -> None:
    now = timezone.now()
    for domain in RecipientDomain.objects.all():
        waiting = Delivery.objects.waiting().filter(domain=domain).order_by("next_attempt_at").first()
        if waiting:
            assert domain.due_at is not None, step
            assert domain.due_at <= max(waiting.next_attempt_at, now), step
    assert n_wrong_counters() == 0, step
    sending = Delivery.objects.filter(state="sending")
    assert not sending.filter(runner_id__isnull=True).exists()
    assert not Delivery.objects.exclude(state="sending").filter(runner_id__isnull=False).exists()
    assert Message.objects.count() <= Delivery.objects.count()
