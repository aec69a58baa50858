"""A retry of many: counted by receiver, one tried first, the rest spread under the rate."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from queueapp import stats
from queueapp.access.change import COMMAND
from queueapp.models import Delivery, Operation, OperationSite, RecipientDomain, Site
from queueapp.operations import actions, forecast, paced, run
from queueapp.operations.exceptions import page
from queueapp.operations.preview import preview
from queueapp.stats import Tally
from queueapp.transports.base import Outcome
from tests.engine.queue import DEFERRED, DELIVERED, NO_USER, claimed, n_wrong_counters, record
from tests.models.rows import delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
LATER = timezone.now() + timedelta(hours=3)


def waiting(domain: str, n: int, *, site: Site | None = None, rate: str = "") -> RecipientDomain:
    first = delivery(f"0@{domain}", state="deferred", n_attempts=1, next_attempt_at=LATER)
    Delivery.objects.bulk_create(
        Delivery(
            message_id=first.message_id, recipient=f"{i}@{domain}", domain_id=first.domain_id,
            state="deferred", n_attempts=1, accepted_at=first.accepted_at, expires_at=first.expires_at,
            next_attempt_at=LATER,
        )
        for i in range(1, n)
    )  # fmt: skip
    RecipientDomain.objects.filter(pk=first.domain_id).update(site=site, rate=rate)
    n_wrong_counters()
    return RecipientDomain.objects.get(pk=first.domain_id)


def a_site(name: str, **values: Any) -> Site:
    return Site.objects.create(key=name, name=name, route="mx", **values)


def asked(q: str = "", action: str = "retry") -> Operation:
    return actions.create(COMMAND, action, q=q, expect=Delivery.objects.matching(q).count())


def served(made: Operation) -> Operation:
    while run.step(made.pk):
        pass
    made.refresh_from_db()
    assert n_wrong_counters() == 0
    return made


def due() -> list[str]:
    """Who is claimed now."""
    return sorted(row.recipient for row in claimed()[1])


def test_one_is_tried_first_and_the_rest_follow_when_it_arrived() -> None:
    waiting("x.test", 20, site=a_site("x", rate="60/m"))
    made = served(asked())
    assert made.state == "running"
    runner, rows = claimed()
    assert [row.recipient for row in rows] == ["0@x.test"]
    record(runner, rows, DELIVERED)
    made = served(made)
    assert (made.state, made.n_done, made.n_skipped) == ("done", 20, 0)
    times = Delivery.objects.filter(state="deferred").values_list("next_attempt_at", flat=True)
    spread = [(at - timezone.now()).total_seconds() for at in times if at]
    assert len(spread) == 19
    assert -5 <= min(spread) <= max(spread) <= 20.5
    assert max(spread) - min(spread) > 5


def test_where_it_fails_again_the_rest_stays_as_it_was() -> None:
    waiting("x.test", 12, site=a_site("mx.example"))
    waiting("y.test", 12)
    made = served(asked())
    runner, rows = claimed()
    assert sorted(row.recipient for row in rows) == ["0@x.test", "0@y.test"]
    for row in rows:
        record(runner, [row], DEFERRED if row.domain == "x.test" else DELIVERED)
    made = served(made)
    assert (made.state, made.n_done, made.n_skipped) == ("done", 13, 11)
    assert "mx.example: 451 4.3.0 later" in made.note
    assert {each.reason for each in page(made, 0, 50).items} == {"first_failed"}
    assert Delivery.objects.filter(domain__name="x.test", next_attempt_at=LATER).count() == 11


def test_a_failure_of_the_recipient_says_nothing_about_the_others() -> None:
    waiting("x.test", 12)
    made = served(asked())
    runner, rows = claimed()
    record(runner, rows, NO_USER)
    made = served(made)
    assert (made.state, made.n_done) == ("done", 12)
    assert made.note == ""


def test_a_first_one_without_an_outcome_holds_the_rest_for_a_while_only() -> None:
    waiting("x.test", 12)
    made = served(asked())
    OperationSite.objects.update(first_at=timezone.now() - paced.PATIENCE)
    made = served(made)
    assert (made.state, made.n_done) == ("done", 12)
    assert OperationSite.objects.get().verdict == "late"


def test_a_few_need_no_first_one() -> None:
    waiting("x.test", paced.ONE_FIRST - 1)
    made = served(asked())
    assert (made.state, made.n_done) == ("done", paced.ONE_FIRST - 1)
    assert len(due()) == paced.ONE_FIRST - 1


def test_the_first_one_is_tried_also_where_the_site_backs_off() -> None:
    until = timezone.now() + timedelta(hours=1)
    waiting("x.test", 12, site=a_site("x", n_failures=3, backoff_class="connection", backoff_until=until))
    served(asked())
    assert Site.objects.get().backoff_until is None


def test_one_that_went_by_itself_in_between_is_no_obstacle() -> None:
    waiting("x.test", 12)
    made = asked()
    paced._plan(made)
    Delivery.objects.filter(recipient="0@x.test").update(state="delivered", next_attempt_at=None)
    n_wrong_counters()
    made = served(made)
    assert (made.state, made.n_done, made.n_skipped) == ("done", 11, 1)


def test_release_is_spread_too() -> None:
    waiting("x.test", 120, rate="60/m")
    hold = asked(action="hold")
    served(hold)
    made = served(asked("state:held", "release"))
    assert (made.state, made.n_done) == ("done", 120)
    times = [at for at in Delivery.objects.values_list("next_attempt_at", flat=True) if at]
    assert (max(times) - min(times)).total_seconds() > 30


@pytest.mark.parametrize(
    ("n", "rate", "seconds"),
    [(1, 60.0, 0.0), (120, 60.0, 120.0), (41_200, 120.0, 20_600.0), (50, None, 0.0), (3000, None, 60.0),
     (10_000_000, None, 900.0)],
)  # fmt: skip
def test_how_long_so_many_are_spread(n: int, rate: float | None, seconds: float) -> None:
    assert forecast.spread_of(n, rate) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (40, "40 s"), (700, "12 min"), (20_600, "5 h 43 min"), (200_000, "2 d 7 h")],
)
def test_spans_are_for_people(seconds: float, text: str) -> None:
    assert forecast.span(seconds) == text


def test_the_forecast_is_by_rate_or_by_measure() -> None:
    waiting("gmail.com", 30, site=a_site("google.com", rate="2/m"))
    slow = waiting("slow.test", 40)
    waiting("new.test", 3)
    now = timezone.now() - timedelta(hours=2)
    stats.record(Tally({(slow.pk, "delivered"): 150}), now)
    found = preview(COMMAND, "retry", q="").forecast
    assert found is not None
    assert [str(line) for line in found.lines] == [
        "40 to slow.test at 10 a minute: about 4 min",
        "30 to google.com at 2 a minute: about 15 min",
        "3 to new.test: its speed is not known yet",
    ]
    assert [line.by for line in found.lines] == ["measured", "rate", ""]
    assert found.seconds == 900


def test_an_outcome_that_was_no_try_counts_as_well() -> None:
    waiting("x.test", 12)
    made = served(asked())
    runner, rows = claimed()
    outcome = Outcome("deferred", "busy", text="the site backs off")
    record(runner, rows, outcome, is_try=False, not_before=LATER)
    made = served(made)
    assert (made.state, made.n_skipped) == ("done", 11)
