"""Changes of limits, sources and holds: what they do, who may, and what they leave behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from queueapp.access import egress, holds, limits
from queueapp.access.change import COMMAND, Actor, Missing, NotAllowed, Taken, Wrong
from queueapp.engine.rules.resuming import HEAD_START
from queueapp.models import (
    AuditEvent,
    Delivery,
    EgressSource,
    HoldRule,
    PoolMember,
    RecipientDomain,
    Site,
    Suspension,
    revision,
)
from tests.engine.queue import n_wrong_counters, put

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
READER = Actor("ann", frozenset({"read"}), "192.0.2.7")


def site(**values: Any) -> Site:
    return Site.objects.create(**{"key": "mx:1", "name": "example.net", "route": "mx"} | values)


def source(name: str = "a", address: str = "127.0.0.9") -> EgressSource:
    return egress.create_source(
        COMMAND, {"name": name, "address": address, "ehlo_name": f"{name}.example.com"}
    )


CHANGES = {
    "site.limits": lambda who: limits.set_site_limits(who, 1, {"rate": "5/s"}),
    "site.lift": lambda who: limits.lift_site(who, 1),
    "suspension.lift": lambda who: limits.lift_suspension(who, 1),
    "domain.limits": lambda who: limits.set_domain_limits(who, "a.test", {"rate": "5/s"}),
    "domain.suspend": lambda who: limits.suspend_domain(who, "a.test"),
    "site.suspend": lambda who: limits.suspend_site(who, 1),
    "site.resume": lambda who: limits.resume_site(who, 1),
    "domain.resume": lambda who: limits.resume_domain(who, "a.test"),
    "source.create": lambda who: egress.create_source(who, {"name": "x"}),
    "source.change": lambda who: egress.change_source(who, 1, {"is_active": False}),
    "pool.create": lambda who: egress.create_pool(who, "x", []),
    "pool.change": lambda who: egress.change_pool(who, 1, "y", None),
    "egress_rule.create": lambda who: egress.create_rule(who, "tag", "x", 1),
    "egress_rule.delete": lambda who: egress.delete_rule(who, 1),
    "hold.create": lambda who: holds.hold(who, "tag", "x", "why"),
    "hold.delete": lambda who: holds.lift(who, 1),
}


@pytest.mark.parametrize("action", CHANGES)
def test_who_may_not_is_refused_and_noted(action: str) -> None:
    with pytest.raises(NotAllowed, match="'ann' has: read"):
        CHANGES[action](READER)
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.origin, event.is_refused, event.n) == (
        action, "ann", "192.0.2.7", True, 0,
    )  # fmt: skip
    assert revision.number() == 0


def test_a_sites_limits_are_set_noted_and_announced() -> None:
    row = site(next_at=timezone.now() + timedelta(hours=1))
    found = limits.set_site_limits(COMMAND, row.pk, {"max_sessions": 3, "rate": "600 / m"})
    assert (found.max_sessions, found.max_mails, found.rate, found.next_at) == (3, None, "600/m", None)
    event = AuditEvent.objects.get()
    assert event.detail["before"]["max_sessions"] is None
    assert event.detail["after"]["rate"] == "600/m"
    assert revision.number() == 1
    limits.set_site_limits(COMMAND, row.pk, {"max_sessions": None, "rate": "none"})
    row.refresh_from_db()
    assert (row.max_sessions, row.rate) == (None, "none")
    assert revision.number() == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"max_sessions": 0}, "max_sessions"), ({"max_mails": "9"}, "max_mails"), ({"rate": "fast"}, "rate"),
     ({"rate": "0/s"}, "rate"), ({"max_sessions": 1001}, "max_sessions")],
)  # fmt: skip
def test_a_limit_that_can_not_be_changes_nothing(changes: dict[str, Any], field: str) -> None:
    row = site()
    with pytest.raises(Wrong) as caught:
        limits.set_site_limits(COMMAND, row.pk, {"max_mails": 5, **changes})
    assert caught.value.field == field
    assert not AuditEvent.objects.exists()
    row.refresh_from_db()
    assert row.max_mails is None


def test_a_site_that_is_not_there_is_missing() -> None:
    with pytest.raises(Missing, match="no site 99"):
        limits.set_site_limits(COMMAND, 99, {"rate": "5/s"})
    with pytest.raises(Missing):
        limits.set_site_limits(COMMAND, 2**70, {"rate": "5/s"})


def test_lifting_makes_due_what_waited_for_it_and_nothing_else() -> None:
    now = timezone.now()
    since = now - timedelta(minutes=5)
    row = site(
        backoff_until=now + timedelta(hours=1), backoff_since=since, backoff_class="busy", n_failures=2
    )
    put("held-up@a.test", "own-trouble@a.test", "elsewhere@b.test")
    RecipientDomain.objects.filter(name="a.test").update(site=row, due_at=now + timedelta(hours=1))
    later = {"state": "deferred", "next_attempt_at": now + timedelta(hours=1)}
    Delivery.objects.update(**later, last_attempt_at=now - timedelta(minutes=1))
    Delivery.objects.filter(recipient__startswith="own").update(last_attempt_at=now - timedelta(hours=2))
    RecipientDomain.objects.update(n_queued=0)
    RecipientDomain.objects.filter(name="a.test").update(n_deferred=2)
    RecipientDomain.objects.filter(name="b.test").update(n_deferred=1)
    Suspension.objects.create(
        site=row, reply_class="blocklisted", since=now, until=now + timedelta(hours=1), n=3
    )
    assert limits.lift_site(COMMAND, row.pk) == 1
    known_to_all = timezone.now() + timedelta(seconds=HEAD_START)
    assert [each.recipient for each in Delivery.objects.due(known_to_all)] == ["held-up@a.test"]
    assert RecipientDomain.objects.get(name="a.test").due_at <= known_to_all
    row.refresh_from_db()
    assert (row.backoff_until, row.n_failures) == (None, 0)
    assert Suspension.objects.get().lifted_by == "command"
    assert AuditEvent.objects.get().n == 1
    assert n_wrong_counters() == 0


def test_a_domain_is_suspended_and_resumed() -> None:
    put("a@a.test")
    limits.suspend_domain(COMMAND, "A.test", "complaints")
    row = RecipientDomain.objects.get()
    assert (row.is_suspended(timezone.now()), row.suspended_reason) == (True, "complaints")
    assert not RecipientDomain.objects.due(timezone.now()).exists()
    limits.resume_domain(COMMAND, "a.test")
    assert RecipientDomain.objects.due(timezone.now()).exists()
    with pytest.raises(Wrong, match="not a time to come"):
        limits.suspend_domain(COMMAND, "a.test", until=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Missing, match="nobody ever wrote"):
        limits.resume_domain(COMMAND, "other.test")


def test_a_site_is_suspended_and_resumed_and_a_domain_stays_as_it_was() -> None:
    put("a@a.test")
    put("b@b.test")
    row = site()
    RecipientDomain.objects.update(site=row)
    limits.suspend_domain(COMMAND, "b.test")
    before = revision.number()
    limits.suspend_site(COMMAND, row.pk, "they move")
    assert revision.number() > before
    assert not RecipientDomain.objects.due(timezone.now()).exists()
    limits.resume_site(COMMAND, row.pk)
    assert [each.name for each in RecipientDomain.objects.due(timezone.now())] == ["a.test"]
    told = AuditEvent.objects.filter(action__startswith="site.").order_by("id")
    assert [(each.action, each.target, each.detail["reason"]) for each in told] == [
        ("site.suspend", "example.net", "they move"), ("site.resume", "example.net", "they move"),
    ]  # fmt: skip
    with pytest.raises(Wrong, match="not a time to come"):
        limits.suspend_site(COMMAND, row.pk, until=timezone.now() - timedelta(seconds=1))


def test_a_domains_limits_are_set() -> None:
    put("a@a.test")
    limits.set_domain_limits(COMMAND, "a.test", {"rate": "10/h", "retry_first": 60, "max_age": None})
    row = RecipientDomain.objects.get()
    assert (row.rate, row.retry_first, row.max_age) == ("10/h", timedelta(minutes=1), None)
    with pytest.raises(Wrong, match="retry_cap"):
        limits.set_domain_limits(COMMAND, "a.test", {"retry_cap": 0})


def test_a_source_is_made_drained_and_made_active_again() -> None:
    row = source()
    egress.change_source(COMMAND, row.pk, {"is_active": False, "reason": "moves house"})
    row.refresh_from_db()
    assert (row.is_active, row.drained_reason) == (False, "moves house")
    assert row.drained_at
    egress.change_source(COMMAND, row.pk, {"is_active": True})
    row.refresh_from_db()
    assert (row.is_active, row.drained_at, row.drained_reason) == (True, None, "")
    with pytest.raises(Taken):
        source()


@pytest.mark.parametrize(
    ("values", "field"),
    [({"name": "a b"}, "name"), ({"address": "here"}, "address"), ({"ehlo_name": "x\r\nMAIL"}, "ehlo_name"),
     ({"warmup_first": 0}, "warmup_first"), ({"warmup_factor": 0.5}, "warmup_factor")],
)  # fmt: skip
def test_a_wrong_source_is_refused_by_field(values: dict[str, Any], field: str) -> None:
    good = {"name": "a", "address": "127.0.0.9", "ehlo_name": "a.example.com"}
    with pytest.raises(Wrong) as caught:
        egress.create_source(COMMAND, good | values)
    assert caught.value.field == field


def test_a_pool_has_members_once_with_weights() -> None:
    a, b = source("a", "127.0.0.8"), source("b", "127.0.0.9")
    pool = egress.create_pool(COMMAND, "bulk", [(a.pk, 3), (b.pk, 1)])
    egress.change_pool(COMMAND, pool.pk, None, [(b.pk, 0)])
    assert [(each.source_id, each.weight) for each in PoolMember.objects.all()] == [(b.pk, 0)]
    for wrong in ([(b.pk, 1), (b.pk, 2)], [(99, 1)], [(b.pk, -1)]):
        with pytest.raises(Wrong):
            egress.change_pool(COMMAND, pool.pk, None, wrong)
    assert PoolMember.objects.count() == 1
    rule = egress.create_rule(COMMAND, "tag", "News", pool.pk)
    assert rule.value == "news"
    with pytest.raises(Taken):
        egress.create_rule(COMMAND, "tag", "news", pool.pk)
    egress.delete_rule(COMMAND, rule.pk)


# ── Holds ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "value"),
    [("sender", "Ann@example.com"), ("sender_domain", "EXAMPLE.com"), ("recipient_domain", "@a.test"),
     ("tag", "News")],
)  # fmt: skip
def test_a_rule_holds_what_comes_in_and_not_what_waits(kind: str, value: str) -> None:
    put("before@a.test", tags=("news",))
    rule = holds.hold(COMMAND, kind, value, "complaints")
    put("after@a.test", tags=("news",))
    put("other@b.test", sender="ben@example.org")
    rows = dict(Delivery.objects.values_list("recipient", "state"))
    assert rows == {"before@a.test": "queued", "after@a.test": "held", "other@b.test": "queued"}
    held = Delivery.objects.get(state="held")
    assert held.hold_reason.startswith("complaints (rule ")
    holds.lift(COMMAND, rule.pk)
    put("again@a.test", tags=("news",))
    assert Delivery.objects.get(recipient="again@a.test").state == "queued"
    held.refresh_from_db()
    assert held.state == "held"
    assert n_wrong_counters() == 0


def test_a_rule_that_is_over_holds_nothing_and_can_be_made_again() -> None:
    holds.hold(COMMAND, "tag", "x", "why", timezone.now() + timedelta(minutes=1))
    with pytest.raises(Taken):
        holds.hold(COMMAND, "tag", "X", "why")
    HoldRule.objects.update(until=timezone.now())
    put("a@a.test", tags=("x",))
    assert Delivery.objects.get().state == "queued"
    holds.hold(COMMAND, "tag", "x", "again")


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("colour", "x", "why"),
        ("sender", "nobody", "why"),
        ("recipient_domain", "a b", "why"),
        ("tag", "x", " "),
    ],
)
def test_a_wrong_rule_is_refused(kind: str, value: str, reason: str) -> None:
    with pytest.raises(Wrong):
        holds.hold(COMMAND, kind, value, reason)
    assert not HoldRule.objects.exists()
