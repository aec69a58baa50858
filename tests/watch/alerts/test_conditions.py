"""What single conditions see, where a round would hide it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from queueapp import events, kick
from queueapp.models import AlertRule, DomainFigures, RecipientDomain, Site
from queueapp.watch.alerts.conditions.machine import parts
from queueapp.watch.alerts.conditions.receivers import clogged
from queueapp.watch.alerts.facts import Facts
from queueapp.watch.diagnosis import system
from tests.valkey import ValkeyServer

pytestmark = [pytest.mark.django_db, pytest.mark.once]
RULE = AlertRule(name="x", condition="clogged", scope="domain", threshold=2)


def test_all_domains_of_a_site_that_backs_off_are_stuck_for_its_cause(valkey: ValkeyServer) -> None:
    now = timezone.now()
    site = Site.objects.create(
        key="relay:1", name="relay.test", backoff_class="connection", backoff_reply="connecting failed",
        backoff_until=now + timedelta(minutes=5), n_failures=3,
    )  # fmt: skip
    tried, *_ = [RecipientDomain.objects.create(name=f"d{n}.test", site=site, n_queued=5) for n in range(3)]
    DomainFigures.objects.create(
        domain=tried, error_class="connection", error_reply="connecting to 127.0.0.1 failed"
    )
    RecipientDomain.objects.create(name="new.test", n_queued=5)
    found = list(clogged(RULE, Facts(now)))
    assert {each.label for each in found} == {"d0.test", "d1.test", "d2.test"}
    # The diagnosis has named none yet, and still it is one cause, so one mail.
    assert {each.cause for each in found} == {"clogged:receiver_down"}


def test_parts_that_are_down_are_one_group(monkeypatch: pytest.MonkeyPatch, valkey: ValkeyServer) -> None:
    monkeypatch.setattr(system, "_parts_down", lambda: ("worker-1", "worker-2"))
    found = list(parts(AlertRule(name="x", condition="parts"), Facts(timezone.now())))
    assert [each.label for each in found] == ["worker-1", "worker-2"]
    assert {each.cause for each in found} == {"parts"}


def test_a_worker_that_was_killed_counts_until_its_key_ends(valkey: ValkeyServer) -> None:
    client = events.redis()
    client.sadd(f"rq:workers:{kick.QUEUE}", "rq:worker:alive", "rq:worker:killed")
    client.hset("rq:worker:alive", "birth", "x")
    assert system.look(timezone.now()).n_workers == 1
