"""About how many: near the truth where it is told, and not told where it could be far off."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from queueapp.grammar import parse
from queueapp.models import Delivery, Message, RecipientDomain
from queueapp.models.estimating import WORTH, estimate, rounded
from queueapp.models.searching import Search

pytestmark = pytest.mark.django_db
N = 3000


@pytest.fixture
def queue() -> None:
    now = timezone.now()
    domain = RecipientDomain.objects.create(name="x.test", n_queued=N)
    message = Message.objects.create(
        accepted_at=now, sender="a@b.test", sender_domain="b.test", n_recipients=N, size=1, source="smtp"
    )
    Delivery.objects.bulk_create(
        Delivery(
            message=message, domain=domain, recipient=f"u{n}@x.test", accepted_at=now, next_attempt_at=now,
            expires_at=now + timedelta(days=5), priority=9 if n % 5 < 2 else 5 if n % 100 else 1,
        )
        for n in range(N)
    )  # fmt: skip


def told(text: str, at_least: int = WORTH, n: int = 1000) -> int | None:
    return estimate(Search(parse(text), timezone.now()), at_least, random.Random(4), n)


@pytest.mark.usefixtures("queue")
def test_it_is_near_the_truth_and_rounded() -> None:
    found = told("priority:9")
    assert found is not None
    assert abs(found - 0.4 * N) < 0.1 * N
    assert found % 100 == 0


@pytest.mark.usefixtures("queue")
def test_it_is_not_told_where_it_would_be_poor_or_says_nothing_new() -> None:
    assert told("priority:1") is None  # 1 in 100
    assert told("subject:nowhere") is None
    assert told("priority:9", at_least=2 * N) is None
    assert told("priority:9", at_least=WORTH - 1) is None
    assert told("priority:9", n=2 * N) is None  # as many as are there: they can be counted


def test_an_empty_queue_has_none() -> None:
    assert told("priority:9") is None


@pytest.mark.parametrize(
    ("number", "shown"), [(1_234_567, 1_200_000), (98_765, 99_000), (99_950, 100_000), (7, 7), (12.4, 12)]
)
def test_it_rounds_to_two_figures(number: float, shown: int) -> None:
    assert rounded(number) == shown
