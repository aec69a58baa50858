"""What becomes of an alert, and what people are told of it, over real rows with a clock handed in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time, timedelta

import pytest
from django.utils import timezone

from queueapp import conf
from queueapp.access import alert_rules, alerts
from queueapp.access.change import COMMAND
from queueapp.models import (
    Alert,
    AlertGroup,
    AlertRule,
    Diagnosis,
    Effect,
    Listing,
    Minute,
    Notice,
    RecipientDomain,
    Silence,
)
from queueapp.watch.alerts.conditions import BY_NAME
from queueapp.watch.alerts.shipped import entries, sync
from tests.valkey import ValkeyServer
from tests.watch.alerts.rounds import MINUTE, SECOND, Rounds, states, stuck, told, well

pytestmark = pytest.mark.django_db
HOST = "mx.example.com"


@pytest.fixture(autouse=True)
def _people() -> Iterator[None]:
    with conf.override(alert_to=("oncall@example.com",), hostname=HOST):
        yield


def test_nothing_is_told_of_an_idle_system() -> None:
    rounds = Rounds(
        *(entry["key"] for entry in entries() if entry["key"] not in ("workers", "redis", "disk"))
    )
    rounds.until(2 * 60 * MINUTE, step=5 * MINUTE)
    assert (states(), told()) == ({}, [])


def test_nothing_is_told_of_a_few_mails_that_dead_receivers_leave_behind_at_night() -> None:
    stuck(3, waiting=4)
    Minute.objects.create(at=timezone.now() - MINUTE, n_deferred=12)
    rounds = Rounds("no-delivery", "depth", "domain-clogged", "bounce-share", "deferral-share", "cause")
    rounds.until(30 * MINUTE, step=MINUTE)
    assert (states(), told()) == ({}, [])


def test_one_mail_tells_of_500_domains_with_one_cause_and_one_of_the_end() -> None:
    stuck(500)
    rounds = Rounds("domain-clogged")
    rounds.one()
    assert set(states().values()) == {"pending"}
    rounds.until(7 * MINUTE)
    assert set(states().values()) == {"firing"}
    assert told() == [
        ("firing", f"[{HOST}] Warning: Queue clogged: 500 domains, one cause: the receiver is slow or down")
    ]
    well()
    rounds.until(8 * MINUTE)
    assert set(states().values()) == {"resolved"}
    assert told()[1:] == [
        (
            "resolved",
            f"[{HOST}] Resolved: Queue clogged: 500 domains, one cause: the receiver is slow or down",
        )
    ]
    rounds.until(10 * MINUTE)
    assert len(told()) == 2


def test_the_mails_of_a_group_are_one_thread() -> None:
    stuck(2)
    rounds = Rounds("domain-clogged")
    rounds.until(7 * MINUTE)
    well()
    rounds.until(8 * MINUTE)
    first, last = Notice.objects.order_by("pk")
    thread = AlertGroup.objects.get().thread
    assert f"Message-ID: {thread}" in first.body
    assert f"In-Reply-To: {thread}" in last.body
    assert f"References: {thread}" in last.body
    assert f"Message-ID: {thread}" not in last.body
    assert "lasted" in last.body


def test_a_group_that_grows_is_told_by_the_reminder_only() -> None:
    stuck(2)
    rounds = Rounds("domain-clogged")
    rounds.until(7 * MINUTE)
    stuck(5, name="more{}.test")
    rounds.until(20 * MINUTE)
    assert [kind for kind, _ in told()] == ["firing"]
    rounds.one(12 * 60 * MINUTE)
    assert [kind for kind, _ in told()] == ["firing", "reminder"]
    assert told()[1][1].startswith(f"[{HOST}] Still: Queue clogged: 7 domains, one cause")


def test_a_group_that_many_join_is_told_of_once_in_its_thread() -> None:
    stuck(2)
    rounds = Rounds("domain-clogged")
    rounds.until(7 * MINUTE)
    stuck(12, name="more{}.test")
    rounds.until(20 * MINUTE)
    assert [kind for kind, _ in told()] == ["firing"]
    rounds.until(60 * MINUTE, MINUTE)
    assert [kind for kind, _ in told()] == ["firing", "grown"]
    assert told()[1][1].startswith(f"[{HOST}] More: Queue clogged: 14 domains, one cause")
    first, last = Notice.objects.order_by("pk")
    assert "More have joined: 14 alerts now." in last.body
    assert f"In-Reply-To: {AlertGroup.objects.get().thread}" in last.body
    assert f"In-Reply-To: {AlertGroup.objects.get().thread}" not in first.body


def test_a_group_that_becomes_worse_is_told_of_at_once_and_one_that_eases_is_not() -> None:
    stuck(2)
    rounds = Rounds("domain-clogged")
    rounds.until(7 * MINUTE)
    rule = AlertRule.objects.get(key="domain-clogged")
    for severity, kinds in (
        ("critical", ["firing", "worse"]),
        ("warning", ["firing", "worse"]),
        ("critical", ["firing", "worse"]),  # known already
    ):
        alert_rules.change(COMMAND, rule.pk, severity=severity)
        rounds.until(5 * MINUTE)
        assert [kind for kind, _ in told()] == kinds
    assert told()[1][1].startswith(f"[{HOST}] CRITICAL now: Queue clogged: 2 domains")
    assert "It is critical now." in Notice.objects.latest("pk").body


def test_what_is_acknowledged_is_not_reminded_of_but_its_end_is_told() -> None:
    stuck(1)
    rounds = Rounds("domain-clogged")
    rounds.until(7 * MINUTE)
    alerts.acknowledge(COMMAND, Alert.objects.get().pk, "on it")
    rounds.one(13 * 60 * MINUTE)
    assert [kind for kind, _ in told()] == ["firing"]
    assert Alert.objects.get().state == "acknowledged"
    well()
    rounds.until(8 * MINUTE)
    assert [kind for kind, _ in told()] == ["firing", "resolved"]


def test_a_round_is_the_same_for_who_starts_anew() -> None:
    stuck(1)
    rounds = Rounds("domain-clogged")
    rounds.until(7 * MINUTE)
    again = Rounds("domain-clogged")
    again.now = again.began = rounds.now
    again.until(3 * MINUTE)
    assert [kind for kind, _ in told()] == ["firing"]
    assert again.one(SECOND) == 0  # another machine has just looked


def test_what_is_gone_before_its_time_is_never_told() -> None:
    stuck(1)
    rounds = Rounds("domain-clogged")
    rounds.until(2 * MINUTE)
    well()
    rounds.until(2 * MINUTE)
    assert (states(), told()) == ({}, [])


def test_what_comes_and_goes_is_told_as_that_and_then_no_more() -> None:
    rounds = Rounds("flood")
    effect = _stopped()
    for _ in range(5):
        rounds.until(2 * MINUTE)
        Effect.objects.update(ended_at=rounds.now)
        rounds.until(2 * MINUTE)
        Effect.objects.update(ended_at=None)
    kinds = [kind for kind, _ in told() if kind != "owner"]
    assert kinds == ["firing", "resolved", "firing", "resolved", "flapping"]
    assert Alert.objects.live().get().is_flapping
    Effect.objects.filter(pk=effect.pk).delete()
    rounds.until(40 * MINUTE)
    assert [kind for kind, _ in told() if kind != "owner"] == [*kinds, "resolved"]


def test_the_owner_of_a_stopped_sender_is_told_once() -> None:
    _stopped(owner_to="owner@example.com")
    rounds = Rounds("flood")
    rounds.until(3 * MINUTE)
    owner = Notice.objects.get(kind="owner")
    assert (owner.to, owner.subject) == ("owner@example.com", "Mail from login bulk was stopped")
    assert Notice.objects.get(kind="firing").to == "oncall@example.com"


def test_a_silence_covers_what_it_says_until_it_is_lifted() -> None:
    stuck(1)
    rounds = Rounds("domain-clogged")
    draft = alerts.drafted(only="stuck*.test", reason="known")
    rounds.until(6 * MINUTE)
    assert alerts.covered(draft)[0] == 1
    made = alerts.silence(COMMAND, only="stuck*.test", reason="known", until=rounds.now + 60 * MINUTE)
    Silence.objects.update(since=rounds.began)
    Notice.objects.all().delete()
    AlertGroup.objects.all().delete()
    rounds.until(3 * MINUTE)
    assert told() == []
    assert Alert.objects.get().muted_by == f"silence:{made.pk}"
    alerts.lift(COMMAND, made.pk)
    rounds.until(MINUTE)
    assert [kind for kind, _ in told()] == ["firing"]


def test_a_parent_mutes_its_children(valkey: ValkeyServer) -> None:
    RecipientDomain.objects.create(name="a.test", n_queued=10, due_at=timezone.now() - 60 * MINUTE)
    rounds = Rounds("workers", "no-delivery", "oldest-due")
    rounds.until(5 * MINUTE)
    assert [subject for _, subject in told()] == [f"[{HOST}] CRITICAL: No worker runs, and mail waits"]
    muted = Alert.objects.exclude(condition="workers").values_list("condition", "muted_by")
    assert dict(muted) == {"no_delivery": "parent:workers", "oldest_due": "parent:workers"}


def test_in_quiet_hours_only_what_is_critical_is_told() -> None:
    stuck(1)
    now = timezone.now()
    hours = conf.Hours(time(now.hour), (now + timedelta(hours=2)).time(), "UTC")
    rounds = Rounds("domain-clogged", "flood")
    _stopped()
    with conf.override(alert_quiet=hours, alert_to=("oncall@example.com",)):
        rounds.until(7 * MINUTE)
        assert [kind for kind, subject in told() if "CRITICAL" in subject] == ["firing"]
        assert len(told()) == 1
    rounds.until(MINUTE)
    assert [subject.partition("] ")[2][:8] for _, subject in told()] == ["CRITICAL", "Warning:"]


def test_a_rule_that_is_switched_off_ends_what_it_told() -> None:
    stuck(1)
    rounds = Rounds("domain-clogged")
    rounds.until(7 * MINUTE)
    alert_rules.change(COMMAND, AlertRule.objects.get(key="domain-clogged").pk, is_enabled=False)
    rounds.one(MINUTE)
    assert set(states().values()) == {"resolved"}


def test_a_listing_is_told_when_two_answers_agree() -> None:
    now = timezone.now()
    row = Listing.objects.create(
        list_name="spamcop", target="192.0.2.1", kind="ip4", state="listed", since=now, severity="danger"
    )
    rounds = Rounds("listing")
    rounds.until(MINUTE)
    assert told() == []
    Listing.objects.filter(pk=row.pk).update(is_confirmed=True)
    rounds.until(MINUTE)
    assert told() == [("firing", f"[{HOST}] CRITICAL: 192.0.2.1 is on the blocklist spamcop")]


def test_a_cause_of_the_diagnosis_is_told_with_its_proof() -> None:
    now = timezone.now()
    Diagnosis.objects.create(
        kind="all", cause="blocklist", place=0, n=4000, share=1.0, since=now, seen_at=now,
        evidence={
            "where": [["domain", "a.test", "a.test", 4000]],
            "replies": [{"text": "554 5.7.1 blocked using zen"}],
        },
    )  # fmt: skip
    rounds = Rounds("cause")
    rounds.until(5 * MINUTE)
    body = Notice.objects.get().body
    assert "We are blocked" in body
    assert "554 5.7.1 blocked using zen" in body
    assert "a.test: 4,000" in body


def test_a_rule_looks_only_at_what_it_names_and_tells_its_own_people() -> None:
    stuck(3)
    rounds = Rounds()
    alert_rules.add(
        COMMAND, name="mine", condition="clogged", scope="domain", only="stuck1.*", threshold=10,
        holds_for=timedelta(0), recipients=["me@example.com"],
    )  # fmt: skip
    rounds.until(MINUTE)
    assert list(states()) == ["domain:stuck1.test"]
    assert Notice.objects.get().to == "me@example.com"


def test_shipped_rules_know_their_conditions_and_leave_changes_alone() -> None:
    sync()
    assert {rule.condition for rule in AlertRule.objects.all()} <= set(BY_NAME)
    assert {entry["condition"] for entry in entries()} | {"search"} == set(BY_NAME)
    AlertRule.objects.filter(key="depth").update(threshold=7)
    assert sync() == 0
    assert AlertRule.objects.get(key="depth").threshold == 7


def _stopped(owner_to: str = "") -> Effect:
    return Effect.objects.create(
        rule_name="A flood", action="stop_sender", scope="login", key="login:bulk", label="login bulk",
        value="bulk", since=timezone.now(), owner_to=owner_to,
    )  # fmt: skip
