"""Rules and effects as people change them: who may, what can't be, what is left behind; and the trial."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from queueapp.access import effects, rule_trial, rules, senders
from queueapp.access.change import COMMAND, Actor, Missing, NotAllowed, Taken, Wrong
from queueapp.engine.rules import effects as engine
from queueapp.engine.rules import ruleset, shipped
from queueapp.engine.rules.effects import Target
from queueapp.engine.rules.trial import Match, played
from queueapp.engine.suspensions import Cause
from queueapp.models import (
    AuditEvent,
    BackoffRule,
    Effect,
    RecipientDomain,
    Site,
    SmtpLogin,
    Suspension,
    revision,
)
from tests.dashboard.rows import a_delivery, a_domain, a_message, an_attempt

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
READER = Actor("ann", frozenset({"read"}), "192.0.2.7")
MINE: dict[str, Any] = {
    "name": "mine", "texts": ["Try  Later"], "scope": "site", "action": "suspend", "lasts": 600, "n_hits": 1,
}  # fmt: skip

CHANGES = {
    "rule.create": lambda who: rules.create(who, MINE),
    "rule.change": lambda who: rules.update(who, 1, {"is_enabled": False}),
    "rule.delete": lambda who: rules.delete(who, 1),
    "rule.try": lambda who: rule_trial.tried(who, MINE),
    "effect.lift": lambda who: effects.lift(who, 1),
    "smtplogin.change": lambda who: senders.change(who, SmtpLogin, "x", {"owner": ""}),
}


@pytest.mark.once
@pytest.mark.parametrize("action", CHANGES)
def test_who_may_not_is_refused_and_noted(action: str) -> None:
    with pytest.raises(NotAllowed, match="'ann' has: read"):
        CHANGES[action](READER)
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.is_refused) == (action, "ann", True)


@pytest.mark.once
@pytest.mark.parametrize("action", [each for each in CHANGES if each not in ("rule.create", "rule.try")])
def test_what_is_not_there_is_said(action: str) -> None:
    with pytest.raises(Missing):
        CHANGES[action](COMMAND)


def test_a_rule_is_made_changed_and_removed_and_runners_hear_of_it() -> None:
    row = rules.create(COMMAND, MINE)
    assert (row.texts, row.lasts, row.made_by) == (["try later"], timedelta(minutes=10), "command")
    rules.update(COMMAND, row.pk, {"n_hits": 5, "per": 600})
    [found] = [each for each in ruleset.enabled() if each.name == "mine"]
    assert (found.n_hits, found.per) == (5, timedelta(minutes=10))
    assert AuditEvent.objects.get(action="rule.change").detail["after"] == {"n_hits": 5, "per": 600.0}
    rules.delete(COMMAND, row.pk)
    assert not BackoffRule.objects.filter(name="mine").exists()
    assert revision.number() == 3


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "field", "told"),
    [
        ({"name": ""}, "name", "1 to 100"),
        ({"name": None}, "name", "1 to 100"),
        ({"texts": []}, "texts", "answer every refusal"),
        ({"texts": ["a*b"]}, "texts", "'a*b'"),
        ({"texts": "abc"}, "texts", "not a list"),
        ({"codes": ["999"]}, "codes", "'999'"),
        ({"classes": ["delivered"]}, "classes", "'delivered'"),
        ({"sites": ["two words"]}, "sites", "'two words'"),
        ({"scope": "sender"}, "scope", "suspend on sender can't be"),
        ({"scope": "moon"}, "scope", "'moon'"),
        ({"lasts": None}, "lasts", "needs an end"),
        ({"lasts": 0}, "lasts", "'0'"),
        ({"action": "slow"}, "rate", "needs a rate"),
        ({"action": "slow", "rate": "fast"}, "rate", "'fast'"),
        ({"share": 100}, "share", "'100'"),
        ({"n_hits": 0}, "n_hits", "'0'"),
        ({"n_hits": True}, "n_hits", "'True'"),
        ({"growth": 0.5}, "growth", "'0.5'"),
        ({"condition": "flood"}, "scope", "login or a sender"),
        ({"condition": "listing"}, "scope", "pair"),
        ({"moon": 1}, "moon", "no field 'moon'"),
    ],
)
def test_what_can_not_be_is_refused_by_its_field_and_value(
    changes: dict[str, Any], field: str, told: str
) -> None:
    with pytest.raises(Wrong, match=told.replace("*", r"\*")) as raised:
        rules.create(COMMAND, MINE | changes)
    assert raised.value.field == field
    assert not BackoffRule.objects.exists()


@pytest.mark.once
def test_a_name_is_there_once() -> None:
    rules.create(COMMAND, MINE)
    with pytest.raises(Taken, match="'mine'"):
        rules.create(COMMAND, MINE)


def test_a_shipped_rule_can_be_switched_and_moved_and_an_upgrade_leaves_that() -> None:
    assert shipped.sync() > 25
    assert shipped.sync() == 0
    row = BackoffRule.objects.get(key="busy")
    rules.update(COMMAND, row.pk, {"is_enabled": False, "position": 5})
    with pytest.raises(Wrong, match="is shipped") as raised:
        rules.update(COMMAND, row.pk, {"n_hits": 1})
    assert raised.value.field == "n_hits"
    with pytest.raises(Taken, match="switch it off"):
        rules.delete(COMMAND, row.pk)
    BackoffRule.objects.filter(pk=row.pk).update(about="as an older version had it")
    BackoffRule.objects.filter(key="blocked").delete()
    assert shipped.sync() == 2
    row.refresh_from_db()
    assert (row.is_enabled, row.position) == (False, 5)
    assert row.about.startswith("The receiver is overloaded")


@pytest.mark.once
def test_a_name_that_somebody_took_does_not_stop_an_upgrade() -> None:
    rules.create(COMMAND, MINE | {"name": "Blocked"})
    shipped.sync()
    assert BackoffRule.objects.get(key="blocked").name == "Blocked (shipped)"


def an_effect(action: str = "suspend", scope: str = "pair", lasts: timedelta | None = None) -> Effect:
    site = Site.objects.get_or_create(key="mx:1", name="example.net", route="mx")[0]
    row = BackoffRule.objects.create(
        name=f"{action} {scope}", scope=scope, action=action, lasts=lasts or timedelta(minutes=10), rate="5/m"
    )
    target = Target(scope, site_id=site.pk if scope in ("pair", "site") else 0, value="shop")
    return engine.begin(ruleset.of(row), target, Cause("busy", "421 busy"))[0]


def test_an_effect_is_lifted_once_and_that_is_in_the_audit() -> None:
    made = an_effect()
    effects.lift(COMMAND, made.pk)
    event = AuditEvent.objects.get(action="effect.lift")
    assert event.target == "suspend the default source at example.net"
    assert event.detail["reply"] == "421 busy"
    with pytest.raises(Taken, match="over already"):
        effects.lift(COMMAND, made.pk)
    assert Suspension.objects.get().until <= timezone.now()


def test_each_time_in_a_row_lasts_longer_up_to_the_cap_and_a_lift_begins_anew() -> None:
    row = BackoffRule.objects.create(
        name="x", scope="site", action="slow", rate="5/m", growth=3, lasts=timedelta(minutes=10),
        cap=timedelta(minutes=60),
    )  # fmt: skip
    site = Site.objects.create(key="mx:1", name="x", route="mx")
    minutes = []

    def again() -> Effect:
        return engine.begin(ruleset.of(row), Target("site", site_id=site.pk), Cause("busy", ""))[0]

    for _ in range(3):
        made = again()
        assert made.until is not None
        minutes.append((made.until - made.since) / timedelta(minutes=1))
        Effect.objects.filter(pk=made.pk).update(until=timezone.now())
    assert minutes == [10, 30, 60]
    assert Effect.objects.filter(ended_at__isnull=True).count() == 1
    last = again()
    effects.lift(COMMAND, last.pk)
    assert again().n == 1


@pytest.mark.once
def test_the_receivers_own_time_is_kept_and_a_second_cause_only_counts() -> None:
    site = Site.objects.create(key="mx:1", name="x", route="mx")
    row = BackoffRule.objects.create(name="x", scope="site", action="suspend", lasts=timedelta(minutes=1))
    asked = ruleset.of(row), Target("site", site_id=site.pk)
    made, is_new = engine.begin(*asked, Cause("rate_limited", "wait", retry_in=7200))
    assert is_new
    assert made.until is not None
    assert made.until - made.since == timedelta(hours=2)
    same, is_new = engine.begin(*asked, Cause("rate_limited", "wait"), 3)
    assert (same.pk, is_new) == (made.pk, False)
    made.refresh_from_db()
    assert made.n_hits == 4


@pytest.mark.once
def test_what_a_person_suspended_stays_as_they_said() -> None:
    row = a_domain("x.test", suspended_at=timezone.now(), suspended_reason="by a person")
    rule = BackoffRule.objects.create(name="x", scope="domain", action="suspend", lasts=timedelta(minutes=1))
    engine.begin(ruleset.of(rule), Target("domain", domain_id=row.pk), Cause("busy", ""))
    effects.lift(COMMAND, Effect.objects.get().pk)
    assert RecipientDomain.objects.get().suspended_reason == "by a person"


@pytest.mark.once
def test_the_owner_and_the_allowance_of_a_login_are_kept() -> None:
    SmtpLogin.objects.create(name="shop", digest="x")
    senders.change(COMMAND, SmtpLogin, "shop", {"owner": "it@example.com", "allowance": 50_000})
    row = SmtpLogin.objects.get()
    assert (row.owner, row.allowance) == ("it@example.com", 50_000)
    for field, value in (("owner", "no address"), ("allowance", 0), ("allowance", "many")):
        with pytest.raises(Wrong) as raised:
            senders.change(COMMAND, SmtpLogin, "shop", {field: value})
        assert raised.value.field == field


# ── The trial ─────────────────────────────────────────────────────────────────────────────────


def said(text: str, domain: str = "x.test", stage: str = "rcpt", ago: float = 1, **values: Any) -> None:
    site = Site.objects.get_or_create(key="mx:1", name="example.net", route="mx")[0]
    a_domain(domain, site=site)
    delivery = a_delivery(a_message(login="shop"), domain)
    reply = {"reply_class": "busy", "code": 451, "enhanced": "4.3.2", "text": text, "stage": stage}
    an_attempt(delivery, at=timezone.now() - timedelta(minutes=ago), **reply | values)


def test_a_trial_tells_how_often_on_whom_and_why() -> None:
    for minute in (50, 40, 30, 20, 10):
        said("Try later, please", ago=minute)
    said("something else")
    said("Try later, please", code=None)
    said("Try later, please", ago=60 * 30)
    found = rule_trial.tried(COMMAND, MINE | {"growth": 1.0})
    assert (found.n_looked, found.n_matched, found.n_times, found.is_whole) == (6, 5, 5, True)
    [on] = found.targets
    assert (on.label, on.seconds) == ("example.net", 3000)
    assert found.examples[0].reply == "451 4.3.2 Try later, please"
    assert not Effect.objects.exists()
    assert rule_trial.tried(COMMAND, MINE | {"scope": "domain", "lasts": 1500}).n_times == 2
    longer = MINE | {"action": "stop_sender", "scope": "login", "n_hits": 5}
    assert rule_trial.tried(COMMAND, longer).targets[0].label == "shop"
    assert rule_trial.tried(COMMAND, longer | {"n_hits": 6}).n_times == 0


@pytest.mark.once
def test_a_rule_above_it_hears_first() -> None:
    said("Try later, please")
    row = rules.create(COMMAND, MINE)
    assert rule_trial.tried(COMMAND, MINE | {"name": "below", "position": 200}).n_matched == 0
    assert rule_trial.tried(COMMAND, {}, row.pk).n_matched == 1
    assert rule_trial.tried(COMMAND, {"sites": ["else.net"]}, row.pk).n_matched == 0


@pytest.mark.once
def test_a_trial_that_runs_out_of_time_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    from queueapp.engine.rules import trial

    monkeypatch.setattr(trial, "_WINDOW", 2)
    for minute in range(9, 0, -1):
        said("Try later, please", ago=minute)
    found = trial.of(ruleset.of(BackoffRule(name="x", texts=["try later"], scope="site", action="suspend",
                                            lasts=timedelta(minutes=1))), seconds=0)  # fmt: skip
    assert not found.is_whole
    assert found.since > timezone.now() - timedelta(minutes=5)
    assert 0 < found.n_looked < 9


@pytest.mark.once
def test_a_listing_can_not_be_tried() -> None:
    values = MINE | {"condition": "listing", "scope": "pair", "action": "other_source"}
    with pytest.raises(Wrong, match="nothing to try it on"):
        rule_trial.tried(COMMAND, values)


@pytest.mark.once
@pytest.mark.parametrize(
    ("scope", "instead"),
    [
        ("pair", "other_source"),
        ("sender", "stop_sender"),
        ("login", "allowance"),
        ("campaign", "hold_campaign"),
    ],
)
def test_who_can_not_be_slowed_down_is_told_what_can(scope: str, instead: str) -> None:
    with pytest.raises(Wrong, match=instead) as raised:
        rules.create(COMMAND, MINE | {"action": "slow", "rate": "60/m", "scope": scope})
    assert raised.value.field == "scope"


@pytest.mark.once
def test_it_is_played_through_with_threshold_and_growth() -> None:
    start = timezone.now()
    ten = timedelta(minutes=10)
    row = BackoffRule(name="x", scope="site", action="suspend", n_hits=3, per=ten, lasts=ten, growth=2)
    rule = ruleset.of(row)
    at = [0, 1, 2, 3, 13, 14, 15, 20, 60, 75, 90]
    matches = [Match(start + timedelta(minutes=each), "site:1", "x", "busy", "a@x.test") for each in at]
    [on] = played(rule, matches)
    assert (on.n_matched, on.n_times, on.seconds) == (11, 2, 600 + 1200)
