"""Rules that count what a search selects: which they may have, what they tell, and what is not known."""

from __future__ import annotations

import pytest
from django.utils import timezone

from queueapp.grammar import GrammarError, parse
from queueapp.models import Alert, AlertRule, RecipientDomain
from queueapp.models.tallying import tally
from queueapp.watch.alerts import searches
from tests.dashboard.rows import a_delivery
from tests.watch.alerts.rounds import MINUTE, SECOND, Rounds, told

pytestmark = pytest.mark.django_db


@pytest.mark.once
@pytest.mark.parametrize(
    "text",
    [
        "state:deferred class:blocklisted from:@shop.example age>1h",
        "state:deferred state:held tag:spring",
        "domain:a.test",
        "class:blocklisted",
        "attempts>=3",
        "next<10m",
    ],
)
def test_a_rule_may_have_what_an_index_or_a_counter_answers(text: str) -> None:
    assert str(searches.checked(text)) == text


@pytest.mark.once
@pytest.mark.parametrize(
    ("text", "said", "at"),
    [
        ("", "the search is empty", ""),
        ("state:deferred sale", "compared with the text", "sale"),
        ("state:deferred subject:sale", "compared with the text", "subject:sale"),
        ("state:deferred reason:spam", "compared with the text", "reason:spam"),
        ("state:deferred from:ann", "a part of a name", "from:ann"),
        ("state:deferred tag:spr*", "a part of a name", "tag:spr*"),
        ("state:delivered from:@a.test", "all mail that was ever delivered", "state:delivered"),
        ("-state:deferred age>1h", "all mail that was ever delivered", "-state:deferred"),
        ("stat:deferred", "stat", "stat"),
    ],
)
def test_what_would_cost_too_much_for_ever_is_refused_where_it_stands(text: str, said: str, at: str) -> None:
    with pytest.raises(GrammarError) as caught:
        searches.checked(text)
    error = caught.value
    assert said in error.message
    assert text[error.position : error.position + error.length] == at


def test_it_counts_up_to_the_limit_and_says_what_it_does_not_know() -> None:
    for number in range(4):
        a_delivery(recipient=f"r{number}@example.com", state="deferred", last_class="blocklisted")
    query, now = parse("state:deferred class:blocklisted"), timezone.now()
    assert [tally(query, limit, now, 5).is_above(limit) for limit in (3, 4)] == [True, False]
    found = tally(query, 2, now, 5)
    assert (found.n, found.is_cut) == (2, True)
    assert tally(query, 9, now, 5).n == 4
    assert searches.Tally(None).is_above(1) is None


def test_more_than_the_limit_are_told_and_over_when_they_went() -> None:
    rounds = Rounds()
    domain = RecipientDomain.objects.create(name="a.test", n_deferred=7)
    AlertRule.objects.create(
        name="Ours", condition="search", query="state:deferred domain:a.test", threshold=6,
        severity="warning", holds_for=MINUTE, clear_for=MINUTE, recipients=["me@a.test"],
    )  # fmt: skip
    rounds.until(4 * MINUTE)
    alert = Alert.objects.get()
    assert (alert.state, alert.value) == ("firing", 7)
    assert "deliveries match state:deferred domain:a.test" in alert.title
    [(kind, subject)] = told()
    assert kind == "firing", subject
    RecipientDomain.objects.filter(pk=domain.pk).update(n_deferred=6)
    rounds.until(5 * MINUTE)
    assert [kind for kind, _ in told()] == ["firing", "resolved"]


def test_what_can_not_be_counted_in_time_is_not_known_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds = Rounds()
    RecipientDomain.objects.create(name="a.test", n_deferred=7)
    rule = AlertRule.objects.create(
        name="Ours", condition="search", query="state:deferred domain:a.test", threshold=6,
        severity="warning", holds_for=0 * MINUTE, clear_for=0 * MINUTE,
    )  # fmt: skip
    rounds.until(2 * MINUTE)
    assert Alert.objects.get().state == "firing"
    RecipientDomain.objects.update(n_deferred=0)
    monkeypatch.setattr(searches, "tally", lambda *_: searches.Tally(None))
    rounds.until(3 * MINUTE)
    assert Alert.objects.get().state == "firing"
    rule.refresh_from_db()
    assert rule.blind_since is not None
    monkeypatch.undo()
    rounds.until(4 * MINUTE, 20 * SECOND)
    assert Alert.objects.get().state == "resolved"
    rule.refresh_from_db()
    assert rule.blind_since is None
