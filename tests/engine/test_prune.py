from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from queueapp import stats
from queueapp.engine.prune import TOTALS_AT, prune, prune_records
from queueapp.models import (
    EVERY_DOMAIN,
    Attempt,
    AttemptTranscript,
    Body,
    Delivery,
    IdempotencyKey,
    Message,
    Minute,
    MtaStsPolicy,
    RecipientDomain,
    Runner,
)
from tests.models.rows import attempt, delivery

pytestmark = pytest.mark.django_db
NOW = timezone.now()
OLD = NOW - timedelta(days=8)
LIMIT = NOW - timedelta(days=7)


def test_it_removes_what_finished_before_the_limit_with_all_that_belongs_to_it() -> None:
    row = delivery(state="delivered", finished_at=OLD)
    AttemptTranscript.objects.create(attempt=attempt(row), text="    0.000 S: 220 hello")
    IdempotencyKey.objects.create(owner="shop", key="1", message=row.message, created_at=NOW)
    assert prune(LIMIT) == 1
    for model in (Delivery, Attempt, AttemptTranscript, Message, Body, IdempotencyKey):
        assert not model.objects.exists(), model


@pytest.mark.parametrize("state", ["delivered", "bounced", "expired", "deleted"])
def test_it_removes_every_final_state(state: str) -> None:
    delivery(state=state, finished_at=OLD)
    assert prune(LIMIT) == 1


@pytest.mark.parametrize("state", ["queued", "sending", "deferred", "held"])
def test_it_never_touches_what_is_open(state: str) -> None:
    delivery(state=state, accepted_at=NOW - timedelta(days=400), finished_at=OLD)
    assert prune(NOW) == 0
    assert Delivery.objects.count() == 1


def test_it_leaves_what_is_younger() -> None:
    delivery(state="delivered", finished_at=LIMIT + timedelta(seconds=1))
    assert prune(LIMIT) == 0


def test_it_empties_the_bin_after_a_day() -> None:
    delivery(state="deleted", finished_at=NOW - timedelta(hours=25))
    delivery(state="deleted", finished_at=NOW - timedelta(hours=23))
    assert prune(LIMIT) == 1


def test_it_keeps_a_message_until_its_last_delivery_goes() -> None:
    first = delivery("a@example.net", state="delivered", finished_at=OLD)
    last = delivery("b@example.net", state="deferred", message=first.message)
    assert prune(LIMIT) == 1
    assert Message.objects.count() == Body.objects.count() == 1
    Delivery.objects.filter(pk=last.pk).update(state="delivered", finished_at=OLD)
    assert prune(LIMIT) == 1
    assert not Message.objects.exists()


def test_it_keeps_the_counters_exact() -> None:
    for n in range(5):
        delivery(f"{n}@one.example", state="delivered", finished_at=OLD)
    delivery("x@one.example", state="bounced", finished_at=OLD)
    delivery("x@two.example", state="delivered", finished_at=NOW)
    assert prune(LIMIT, batch=4) == 4
    assert stats.depth()["delivered"] == Delivery.objects.filter(state="delivered").count()
    assert prune(LIMIT, batch=4) == 2
    one, two = RecipientDomain.objects.order_by("name")
    assert (one.n_delivered, one.n_bounced, two.n_delivered) == (0, 0, 1)


def test_it_removes_no_more_than_a_batch() -> None:
    for n in range(3):
        delivery(f"{n}@example.net", state="delivered", finished_at=OLD)
    assert [prune(LIMIT, batch=2) for _ in range(3)] == [2, 1, 0]


def test_it_removes_old_records() -> None:
    row = delivery()
    for age, key in ((25, "old"), (23, "new")):
        IdempotencyKey.objects.create(
            owner="shop", key=key, message=row.message, created_at=NOW - timedelta(hours=age)
        )
    for days in (8, 6):
        ended = NOW - timedelta(days=days)
        Runner.objects.create(
            job="runner-1", machine="m", pid=1, started_at=ended, lease_until=ended, ended_at=ended
        )
    Runner.objects.create(job="runner-2", machine="m", pid=2, started_at=OLD, lease_until=OLD)
    for days in (91, 89):
        MtaStsPolicy.objects.create(domain=f"{days}.test", check_at=NOW - timedelta(days=days))
    assert prune_records(NOW) == {
        "minutes": 0, "idempotency keys": 1, "runners": 1, "TLS policies": 1, "hours": 0,
        "slots of outcomes": 0, "hours of lines": 0, "operations": 0, "days of warm-ups": 0, "audit rows": 0,
        "effects of rules": 0, "counts of rules": 0, "minutes of senders": 0, "what is usual of senders": 0,
    }  # fmt: skip
    assert MtaStsPolicy.objects.get().domain == "89.test"
    assert IdempotencyKey.objects.get().key == "new"
    assert Runner.objects.count() == 2
    assert Message.objects.count() == 1


def test_it_folds_old_minutes_into_totals_that_never_fall() -> None:
    for days, domain, n in ((50, EVERY_DOMAIN, 3), (50, 7, 3), (41, EVERY_DOMAIN, 4), (39, EVERY_DOMAIN, 5)):
        Minute.objects.create(at=NOW - timedelta(days=days), domain_id=domain, n_accepted=n)
    assert prune_records(NOW)["minutes"] == 3
    assert prune_records(NOW)["minutes"] == 0
    kept = dict(Minute.objects.values_list("at", "n_accepted"))
    assert kept == {TOTALS_AT: 7, NOW - timedelta(days=39): 5}
    Minute.objects.create(at=NOW - timedelta(days=45), domain_id=EVERY_DOMAIN, n_accepted=2)
    assert prune_records(NOW)["minutes"] == 1
    assert Minute.objects.get(at=TOTALS_AT).n_accepted == 9
