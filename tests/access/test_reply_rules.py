"""Lines of the administrator's own: what they may be, that they are tried first, that they win; the
audit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from queueapp.access import reply_rules
from queueapp.access.change import COMMAND, Actor, Missing, NotAllowed, Taken, Wrong
from queueapp.access.reply_rules import Asked
from queueapp.engine import own_lines
from queueapp.mail.classify import Table, classify
from queueapp.mail.reply import Reply
from queueapp.models import Attempt, AuditEvent, ReplyRule, ReplyTrial, revision
from queueapp.stats import trials
from tests.models.rows import delivery as a_delivery

pytestmark = pytest.mark.django_db
READER = Actor("vera", frozenset({"read", "operate"}))
LINE = Asked("intranet", "busy", ("closed for the night",), ("4",), delay=3600)


@pytest.fixture(autouse=True)
def _own_lines() -> Iterator[None]:
    own_lines.forget()
    yield
    own_lines.forget()


def attempts(*texts: str, **values: Any) -> list[Attempt]:
    delivery = a_delivery()
    values = {
        "result": "deferred", "code": 451, "enhanced": "4.7.1", "reply_class": "greylisted", "stage": "rcpt",
        "rule": "pattern:try_later", "host": "mx.example.net", "at": timezone.now(), **values,
    }  # fmt: skip
    return Attempt.objects.bulk_create([Attempt(delivery=delivery, text=text, **values) for text in texts])


def on(asked: Asked = LINE) -> ReplyRule:
    reply_rules.attempt(COMMAND, asked)
    return reply_rules.create(COMMAND, asked, is_on=True)


def verdict_of(line: str, stage: str = "", host: str = "") -> tuple[str, str]:
    own_lines.look()
    found = classify(Reply.parse(line), stage, host)
    return found.rule, found.reply_class


def test_it_works() -> None:
    before = verdict_of("451 4.7.1 We are closed for the night")
    row = on()
    assert before == ("code:4.7.1", "policy")
    assert verdict_of("451 4.7.1 We are closed for the night") == ("own:intranet", "busy")
    assert classify(Reply.parse("451 4.7.1 closed for the night")).retry_in == 3600
    assert classify(Reply.parse("451 4.7.1 closed for the night, try again in 60 s")).retry_in == 60
    reply_rules.switch(COMMAND, row.pk, is_on=False)
    assert verdict_of("451 4.7.1 We are closed for the night") == before
    reply_rules.switch(COMMAND, row.pk, is_on=True)
    reply_rules.delete(COMMAND, row.pk)
    assert verdict_of("451 4.7.1 We are closed for the night") == before
    actions = AuditEvent.objects.order_by("pk").values_list("action", "target", "is_refused")
    assert list(actions) == [
        (f"reply_rule.{verb}", "own:intranet", False) for verb in ("try", "create", "off", "on", "delete")
    ]


def test_it_wins_over_the_shipped_lines_and_over_precise_codes() -> None:
    on(Asked("gone", "policy", ("gone fishing",)))
    assert verdict_of("550 5.1.1 user unknown, gone fishing") == ("own:gone", "policy")
    assert verdict_of("451 4.7.1 Greylisted, gone fishing") == ("own:gone", "policy")


def test_it_never_changes_what_is_permanent_nor_blames_the_recipient_before_one_was_named() -> None:
    on(Asked("gone", "no_such_user", ("gone fishing",)))
    own_lines.look()
    for code in 421, 450, 550, 554:
        assert classify(Reply.parse(f"{code} gone fishing"), "rcpt").is_permanent is (code >= 500)
    assert classify(Reply.parse("250 gone fishing"), "dot").reply_class == "delivered"
    for stage in "greeting", "ehlo", "mail":
        assert verdict_of("550 gone fishing", stage) == ("own:gone", "policy")
    assert verdict_of("550 gone fishing", "rcpt") == ("own:gone", "no_such_user")


def test_it_holds_for_its_provider_or_site_alone() -> None:
    on(replace(LINE, name="a", site="Example.NET."))
    on(replace(LINE, name="b", texts=("closed for lunch",), provider="google"))
    assert verdict_of("451 closed for the night", host="mx1.example.net")[0] == "own:a"
    assert verdict_of("451 closed for the night", host="mx1.notexample.net")[0] != "own:a"
    assert verdict_of("451 closed for the night")[0] != "own:a"
    assert verdict_of("451 closed for lunch", host="gmail-smtp-in.l.google.com")[0] == "own:b"
    assert verdict_of("451 closed for lunch", host="mx1.example.net")[0] != "own:b"


def test_the_lowest_position_is_asked_first_and_a_line_may_be_a_code_alone() -> None:
    on(Asked("late", "policy", codes=("451 4.9.9",), position=200))
    assert verdict_of("451 4.9.9 whatever")[0] == "own:late"
    on(Asked("early", "busy", codes=("451",), position=5))
    assert verdict_of("451 4.9.9 whatever")[0] == "own:early"


def test_it_counts_only_after_it_was_tried_as_it_stands() -> None:
    row = reply_rules.create(COMMAND, LINE)
    with pytest.raises(Taken, match="try it first"):
        reply_rules.switch(COMMAND, row.pk, is_on=True)
    with pytest.raises(Taken, match="try it first"):
        reply_rules.create(COMMAND, replace(LINE, name="other"), is_on=True)
    reply_rules.attempt(COMMAND, LINE)
    assert reply_rules.switch(COMMAND, row.pk, is_on=True).is_on
    renamed = reply_rules.edit(COMMAND, row.pk, replace(LINE, name="renamed", note="why"))
    assert renamed.is_on  # what it decides is the same
    changed = reply_rules.edit(COMMAND, row.pk, replace(LINE, texts=("closed",)))
    assert not changed.is_on
    with pytest.raises(Taken, match="try it first"):
        reply_rules.edit(COMMAND, row.pk, replace(LINE, texts=("closed all day",)), is_on=True)
    reply_rules.attempt(COMMAND, replace(LINE, texts=("closed all day",)))
    assert reply_rules.edit(COMMAND, row.pk, replace(LINE, texts=("closed all day",)), is_on=True).is_on


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"name": "Two words"}, "name", "'Two words'"),
        ({"name": ""}, "name", "1 to 48"),
        ({"reply_class": "delivered"}, "reply_class", "'delivered' is not one of"),
        ({"texts": (), "codes": ("4",)}, "texts", "needs a text"),
        ({"texts": ("x",)}, "texts", "3 letters"),
        ({"texts": ("abc " * 60,)}, "texts", "at most 20"),
        ({"texts": ("closed\0for the night",)}, "texts", "printed"),
        ({"texts": ("closed \ud800",)}, "texts", "printed"),
        ({"codes": ("4.7.1",)}, "codes", "'4.7.1'"),
        ({"codes": ("250",)}, "codes", "begins with 2"),
        ({"stage": "noon"}, "stage", "'noon'"),
        ({"delay": 0}, "delay", "1 to 86400"),
        ({"delay": 90_000}, "delay", "1 to 86400"),
        ({"provider": "nobody"}, "provider", "'nobody'"),
        ({"provider": "postfix"}, "provider", "name a site"),
        ({"provider": "google", "site": "example.net"}, "site", "not for both"),
        ({"site": "not a domain"}, "site", "'not a domain'"),
        ({"note": "a\nb"}, "note", "printable"),
        ({"position": -1}, "position", "0 to 9999"),
    ],
)  # fmt: skip
def test_it_refuses_what_can_not_be(change: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(Wrong, match=reason) as refused:
        reply_rules.create(COMMAND, replace(LINE, **change))
    assert refused.value.field == field
    assert not ReplyRule.objects.exists()


def test_it_is_for_administrators_and_a_refusal_is_written_down() -> None:
    row = on()
    for act in (
        lambda: reply_rules.create(READER, replace(LINE, name="x")),
        lambda: reply_rules.edit(READER, row.pk, LINE),
        lambda: reply_rules.switch(READER, row.pk, is_on=False),
        lambda: reply_rules.delete(READER, row.pk),
        lambda: reply_rules.attempt(READER, LINE),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert AuditEvent.objects.filter(actor="vera", is_refused=True).count() == 5
    assert ReplyRule.objects.get() == row


def test_it_says_that_there_is_no_such_line_or_there_is_one_already() -> None:
    on()
    with pytest.raises(Taken, match="own:intranet already"):
        reply_rules.create(COMMAND, LINE)
    for act in (lambda: reply_rules.switch(COMMAND, 99, is_on=True), lambda: reply_rules.delete(COMMAND, 99)):
        with pytest.raises(Missing, match="99"):
            act()


def test_a_look_costs_one_query_and_reads_the_lines_only_when_they_changed(
    django_assert_num_queries: Any,
) -> None:
    on()
    own_lines.look()
    with django_assert_num_queries(1):
        own_lines.look()
    revision.bump(revision.REPLY_RULES)
    with django_assert_num_queries(3):
        own_lines.look()


# ── Trials ────────────────────────────────────────────────────────────────────────────────────


def test_a_trial_says_how_many_and_from_which_class_to_which() -> None:
    attempts("closed for the night", at=timezone.now() - timedelta(days=2))
    attempts("Closed for the night, ref 1", "Closed for the night, ref 2", "try again later")
    attempts("closed for the night", reply_class="policy", rule="code:4.7.1")
    attempts("closed for the night", code=550)
    attempts("closed for the night", code=None, result="deferred")
    attempts("ok", code=250, result="delivered", reply_class="delivered")
    trial = reply_rules.attempt(COMMAND, LINE)
    assert trial.is_done
    assert trial.n_decided == 3
    assert trial.changes == [["greylisted", "busy", 2], ["policy", "busy", 1]]
    first = trial.groups[0]
    assert (first["n"], first["host"]) == (2, "mx.example.net")
    assert first["text"] in ("Closed for the night, ref 1", "Closed for the night, ref 2")
    assert not ReplyRule.objects.exists()
    assert classify(Reply.parse("451 4.7.1 closed for the night")).rule == "code:4.7.1"


def test_a_trial_leaves_out_the_attempts_of_the_day_before() -> None:
    attempts(*["closed for the night"] * 5, at=timezone.now() - timedelta(hours=25))
    attempts(*["closed for the night"] * 3, at=timezone.now() - timedelta(hours=23))
    trial = reply_rules.attempt(COMMAND, LINE)
    assert (trial.n_looked, trial.n_decided) == (3, 3)


def test_a_trial_that_is_cut_short_says_how_far_it_came_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_FIRST", 10)
    attempts(*["closed for the night"] * 40)
    trial = trials.begin(reply_rules.checked(LINE).values, "vera", seconds=0.0)
    assert (trial.is_done, trial.n_looked, trial.n_decided) == (False, 10, 10)
    assert trial.reached_at
    assert trial.counts
    while trials.go_on(seconds=0.0):
        pass
    trial.refresh_from_db()
    assert (trial.is_done, trial.n_looked, trial.n_decided) == (True, 40, 40)


def test_a_trial_is_saved_once_where_two_go_on_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_FIRST", 10)
    attempts(*["closed for the night"] * 30)
    trial = trials.begin(reply_rules.checked(LINE).values, "vera", seconds=0.0)
    stale = ReplyTrial.objects.get()
    assert trials._go_on(trial, 0.0) == 10
    assert trials._go_on(stale, 0.0) == 0
    assert ReplyTrial.objects.get().n_looked == 20


def test_a_trial_asks_what_delivery_would_ask() -> None:
    """Of an earlier own line, by host and stage, and with addresses taken out."""
    on(Asked("first", "policy", ("closed for the night*really",), position=1))
    attempts("closed for the night, really", "closed for the night", "<closed@for.the.night.example> no")
    attempts("closed for the night", host="mx.elsewhere.example")
    trial = reply_rules.attempt(COMMAND, replace(LINE, site="example.net", stage="rcpt"))
    assert trial.n_decided == 1


def test_there_is_a_limit_to_trials_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_FIRST", 1)
    attempts(*["closed"] * 5)
    for _ in range(trials.MOST_OPEN):
        trials.begin(reply_rules.checked(LINE).values, "vera", seconds=0.0)
    with pytest.raises(Taken, match="under way"):
        reply_rules.attempt(COMMAND, LINE)


def test_own_lines_in_a_table_cost_nothing_where_none_matches() -> None:
    table = Table(tuple(ReplyRule.objects.lines()))
    assert table.classify(Reply.parse("550 5.1.1 no")).rule == "code:5.1.1"
