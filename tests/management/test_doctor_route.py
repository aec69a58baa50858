"""`doctor route` tells the way of a mail, and each thing that would stop it, in plain sentences."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from queueapp.access import egress, holds, limits
from queueapp.access.change import COMMAND
from queueapp.engine.rules import effects, ruleset
from queueapp.engine.rules.effects import Target
from queueapp.engine.suspensions import Cause
from queueapp.management.doctor.route import Asked, explain
from queueapp.models import (
    BackoffRule,
    Delivery,
    RecipientDomain,
    Route,
    Site,
    SourceDay,
    Suppression,
    Suspension,
)
from tests.engine.queue import put
from tests.system import System

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]


def told(address: str = "ann@a.test", **values: Any) -> tuple[str, str]:
    """(level of the result, all sentences)."""
    found = explain(Asked(address, **values))
    assert found[-1].name == "result"
    return found[-1].level, "\n".join(f"{each.name}: {each.text}" for each in found)


def site() -> Site:
    put("ann@a.test")
    Route.objects.create(pattern="*", kind="relay", host="127.0.0.1", port=2626, tls="none")
    row = Site.objects.create(key="relay:127.0.0.1:2626", name="127.0.0.1", route="relay")
    RecipientDomain.objects.update(site=row)
    return row


def test_it_tells_the_way_and_changes_nothing() -> None:
    level, text = told("new@never.test")
    assert level == "ok"
    assert "nobody ever wrote to never.test" in text
    assert "sandbox" in text
    assert "20 sessions, 1000 mails by each, no rate" in text
    assert not Site.objects.exists()
    assert not RecipientDomain.objects.exists()


def _backs_off(row: Site) -> None:
    until = timezone.now() + timedelta(hours=1)
    Site.objects.update(backoff_until=until, backoff_class="busy", backoff_reply="too many", n_failures=1)


def _blocked(row: Site) -> None:
    now = timezone.now()
    Suspension.objects.create(
        site=row, reply_class="blocklisted", reply="554 go away", since=now, until=now + timedelta(hours=1)
    )


def _suppressed(row: Site) -> None:
    Suppression.objects.create(
        address="ann@a.test", reply_class="no_such_user", reason="no such user", created_at=timezone.now()
    )


def _drained(row: Site) -> None:
    values = {"name": "a", "address": "127.0.0.9", "ehlo_name": "a.test", "is_active": False}
    Route.objects.update(source=egress.create_source(COMMAND, values))


def _warming(row: Site) -> None:
    today = timezone.now().date()
    values = {"name": "a", "address": "127.0.0.9", "ehlo_name": "a.test", "warmup_from": today,
              "warmup_first": 3}  # fmt: skip
    made = egress.create_source(COMMAND, values)
    Route.objects.update(source=made)
    SourceDay.objects.create(source=made, site=row, day=today, n=3)


STOPS: dict[str, Callable[[Site], Any]] = {
    "127.0.0.1 backs off until": _backs_off,
    "127.0.0.1 has blocked it": _blocked,
    "no source of the pool default may be used": _blocked,
    "ann@a.test is suppressed since": _suppressed,
    "it is drained": _drained,
    "its 3 mails of today for 127.0.0.1 are used up": _warming,
    "a.test is suspended until it is resumed (why)": lambda _: limits.suspend_domain(
        COMMAND, "a.test", "why"
    ),
    "holds recipient_domain a.test: complaints": lambda _: holds.hold(
        COMMAND, "recipient_domain", "a.test", "complaints"
    ),
    "the rate of 127.0.0.1 allows no mail before": lambda _: Site.objects.update(
        next_at=timezone.now() + timedelta(minutes=5)
    ),
}


@pytest.mark.parametrize("sentence", STOPS)
def test_it_tells_what_would_stop_it(sentence: str) -> None:
    STOPS[sentence](site())
    level, text = told()
    assert level == "FAIL"
    assert sentence in text


def test_it_tells_what_a_rule_does_there() -> None:
    row = site()
    rule = BackoffRule.objects.create(
        name="evenings", scope="site", action="slow", rate="30/m", lasts=timedelta(minutes=5)
    )
    effects.begin(ruleset.of(rule), Target("site", site_id=row.pk), Cause("busy", "421 too busy"))
    [found] = [each for each in explain(Asked("ann@a.test")) if each.name == "rule"]
    assert found.level == "warn"
    assert "the rule 'evenings': slow to 30/m on 127.0.0.1, until" in found.text
    assert "421 too busy" in found.text
    limit = next(each for each in explain(Asked("ann@a.test")) if "sessions," in each.text)
    assert "at most 30/m" in limit.text


def test_a_rule_sends_it_by_a_pool() -> None:
    site()
    made = egress.create_source(COMMAND, {"name": "a", "address": "127.0.0.9", "ehlo_name": "a.test"})
    pool = egress.create_pool(COMMAND, "bulk", [(made.pk, 4)])
    egress.create_rule(COMMAND, "tag", "news", pool.pk)
    level, text = told(tags=["News"], sender="a@b.test")
    assert level == "ok"
    assert "pool: bulk, by a rule" in text
    assert "source: a (127.0.0.9), weight 4" in text
    assert "pool: default, by the route" in told()[1]


def test_the_command_answers_in_lines_and_json(system: System) -> None:
    shown = system.manage("doctor", "route", "ann@a.test", "--from", "b@b.test", "--tag", "x").stdout
    assert "It would be sent now." in shown
    found = json.loads(system.manage("doctor", "route", "ann@a.test", "--json").stdout)
    assert found[-1] == {"name": "result", "level": "ok", "text": "It would be sent now.", "advice": ""}
    system.manage("suppression", "add", "ann@a.test", "--reason", "asked for it")
    stopped = system.manage("doctor", "route", "ann@a.test", check=False)
    assert (stopped.returncode, "asked for it" in stopped.stdout) == (1, True)
    wrong = system.manage("doctor", "route", "nobody", check=False)
    assert (wrong.returncode, "nobody" in wrong.stderr) == (2, True)
    assert system.manage("doctor", "route", check=False).returncode == 2


def test_it_counts_what_waits() -> None:
    site()
    assert "a.test: 1 queued, 0 deferred" in told()[1]
    assert Delivery.objects.count() == 1
