"""A flood rule over the last day's accepts: who would have been held, when, and how much."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from queueapp.access import rule_trial
from queueapp.access.change import COMMAND
from queueapp.engine.rules import flood_trial, ruleset
from queueapp.engine.rules.trial import On, Trial
from queueapp.models import BackoffRule, Effect, SenderUsual, SmtpLogin
from tests.dashboard.rows import a_message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
FLOOD: dict[str, Any] = {
    "name": "mine", "condition": "flood", "scope": "login", "action": "stop_sender", "n_hits": 100, "per": 60,
    "factor": 5.0, "lasts": None,
}  # fmt: skip
DAY = 24 * 60


def handed(n: int, ago: float, login: str = "shop", **values: Any) -> datetime:
    """So many deliveries of one mail, so many minutes ago."""
    at = timezone.now().replace(second=30, microsecond=0) - timedelta(minutes=ago)
    a_message(login=login, n_recipients=n, accepted_at=at, **values)
    return at


def tried(**values: Any) -> Trial:
    return rule_trial.tried(COMMAND, FLOOD | values)


def test_it_tells_whom_it_would_have_held_when_and_how_many() -> None:
    handed(10, 100)
    handed(30, 61)
    at = handed(90, 60)
    handed(60, 60, login="SHOP")
    handed(40, 30)
    handed(50, 60, login="else")
    found = tried()
    assert (found.is_whole, found.n_looked, found.n_times, found.n_matched) == (True, 6, 1, 190)
    [on] = found.targets
    assert (on.label, on.first) == ("shop", at.replace(second=0))
    assert found.examples[0].reply == "150 deliveries within a minute; at most 10 is usual for it"
    assert not Effect.objects.exists()
    assert tried(n_hits=151).n_times == 0
    assert tried(factor=20.0).n_times == 0
    # Twenty minutes long, and then again.
    assert [(each.n_times, each.n_matched) for each in tried(lasts=1200).targets] == [(1, 150)]


def test_what_was_handed_in_the_day_before_is_usual() -> None:
    handed(200, DAY + 300)
    handed(200, 300)
    assert tried().n_times == 0
    handed(1200, 100)
    assert [each.first is not None for each in tried().targets] == [True]


@pytest.mark.once
def test_what_was_learned_before_and_an_allowance_count() -> None:
    handed(200, 60)
    SenderUsual.objects.create(key="login:shop", most_minute=5000, most_hour=5000, seen_at=timezone.now())
    assert tried().n_times == 0
    SmtpLogin.objects.create(name="shop", allowance=150)
    assert tried().examples[0].reply == "200 deliveries within an hour; its allowance is 150"


@pytest.mark.once
def test_it_counts_senders_and_no_reports_of_ours() -> None:
    handed(150, 20, login="", sender="Loop@x.test")
    handed(500, 20, login="", sender="")
    handed(500, 20, login="", sender="report@x.test", source="report")
    assert [each.label for each in tried(scope="sender").targets] == ["loop@x.test"]


@pytest.mark.once
def test_several_minutes_add_up_where_the_rule_says_so() -> None:
    for ago in (14, 13, 12):
        handed(40, ago)
    assert tried(factor=1.0).n_times == 0
    assert tried(per=300, factor=1.0).examples[0].reply.startswith("120 deliveries within 5 minutes")


@pytest.mark.once
def test_without_time_it_says_since_when_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood_trial, "_SLICE", 2)
    for ago in range(40, 0, -10):
        handed(150, ago)
    row = BackoffRule(name="x", condition="flood", scope="login", action="stop_sender", n_hits=100)
    found = flood_trial.of(ruleset.of(row), seconds=0)
    assert (found.is_whole, found.n_looked) == (False, 2)
    assert found.since < timezone.now() - timedelta(minutes=25)
    assert isinstance(found.targets[0], On)
