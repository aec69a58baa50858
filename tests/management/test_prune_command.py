from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from queueapp import conf
from queueapp.models import EVERY_DOMAIN, Delivery, Minute
from tests.management.calls import manage
from tests.models.rows import delivery

pytestmark = pytest.mark.django_db


def test_it_removes_what_is_past_its_retention_in_batches() -> None:
    now = timezone.now()
    for n in range(7):
        delivery(f"{n}@example.net", state="delivered", finished_at=now - timedelta(days=8))
    delivery("young@example.net", state="delivered", finished_at=now - timedelta(days=6))
    for n in range(5):
        Minute.objects.create(at=now - timedelta(days=41, minutes=n), domain_id=EVERY_DOMAIN)
    done = manage("prune", "--batch", "2")
    assert (done.code, done.err) == (0, "")
    assert done.out == "Removed 7 deliveries, 5 minutes.\n"
    assert Delivery.objects.get().recipient == "young@example.net"
    assert manage("prune").out == "Nothing is past its retention.\n"


def test_it_goes_by_the_setting() -> None:
    delivery(state="delivered", finished_at=timezone.now() - timedelta(hours=2))
    with conf.override(retention=timedelta(hours=3)):
        assert json.loads(manage("prune", "--json").out)["deliveries"] == 0
    with conf.override(retention=timedelta(hours=1)):
        assert json.loads(manage("prune", "--json").out)["deliveries"] == 1


@pytest.mark.parametrize("batch", ["0", "-5", "x", "10001"])
def test_it_refuses_a_wrong_batch(batch: str) -> None:
    done = manage("prune", "--batch", batch)
    assert done.code == 2
    assert batch in done.err
