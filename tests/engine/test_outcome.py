"""Outcomes: from each result to its state, by whom it may be written, and all that goes with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from queueapp import stats
from queueapp.engine import outcome as outcome_
from queueapp.engine.claim import Claimed, claim, release
from queueapp.engine.outcome import Result, decide
from queueapp.models import Attempt, AttemptTranscript, Delivery, RecipientDomain, State, Suppression
from queueapp.transports.base import Outcome
from tests.engine.queue import DEFERRED, DELIVERED, NO_USER, claimed, n_wrong_counters, put, record

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def one(**values: Any) -> tuple[int, list[Claimed]]:
    put("bob@example.net", **values)
    return claimed()


def row(**values: Any) -> Claimed:
    basis: dict[str, Any] = {
        "id": 1, "message_id": 1, "recipient": "b@c.test", "domain_id": 1, "domain": "c.test",
        "state_before": "queued", "n_attempts": 1, "priority": 5, "accepted_at": NOW,
        "expires_at": NOW + timedelta(days=5), "is_warned": False, "sender": "a@b.test", "size": 1,
        "is_8bit": False, "needs_utf8": False, "is_quiet": False, "retry_first": 300.0, "retry_cap": 14400.0,
        "waits_since": NOW,
    }  # fmt: skip
    return Claimed(**basis | values)


def wait(outcome: Outcome = DEFERRED, at: Any = NOW, **values: Any) -> float:
    """Seconds that a deferral waits."""
    decision = decide(Result(row(**values), outcome, at))
    assert decision.state == State.DEFERRED
    assert decision.next_attempt_at is not None
    return (decision.next_attempt_at - at).total_seconds()


# ── States ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (DELIVERED, "delivered"),
        (DEFERRED, "deferred"),
        (NO_USER, "bounced"),
        (Outcome("bounced", "expired", text="gave up"), "expired"),
        (Outcome("deferred", "connection", text="lost", is_ambiguous=True), "deferred"),
    ],
)
def test_each_result_gives_its_state(outcome: Outcome, state: str) -> None:
    runner, rows = one()
    assert record(runner, rows, outcome, took_ms=12) == [True]
    found, attempt = Delivery.objects.get(recipient="bob@example.net"), Attempt.objects.get()
    assert (found.state, found.runner_id, found.n_attempts) == (state, None, 1)
    assert (found.last_class, found.last_code) == (outcome.reply_class, outcome.code)
    assert found.is_final == (found.finished_at is not None) == (found.next_attempt_at is None)
    assert found.is_ambiguous == attempt.is_ambiguous == outcome.is_ambiguous
    assert (attempt.result, attempt.took_ms, attempt.runner_id) == (outcome.result, 12, runner)
    assert n_wrong_counters() == 0
    assert getattr(RecipientDomain.objects.get(name="example.net"), f"n_{state}") == 1


def test_ambiguous_stays_so_after_a_later_delivery() -> None:
    runner, rows = one()
    record(runner, rows, Outcome("deferred", "connection", is_ambiguous=True))
    _make_due()
    record(runner, claim(runner, 10), DELIVERED)
    found = Delivery.objects.get()
    assert (found.state, found.is_ambiguous, found.n_attempts) == ("delivered", True, 2)


def test_the_rollup_counts_each_result_once() -> None:
    put("a@x.test", "b@x.test", "c@x.test", "d@x.test")
    runner, rows = claimed()
    for each, outcome in zip(rows, (DELIVERED, DEFERRED, DELIVERED, NO_USER), strict=True):
        record(runner, [each], outcome)
    now = timezone.now()
    sums = {
        metric: sum(n for _, n in stats.series(metric, now - timedelta(minutes=3), now, 60))
        for metric in ("delivered", "deferred", "bounced")
    }
    assert sums == {"delivered": 2, "deferred": 1, "bounced": 1}


def test_what_was_set_aside_is_no_attempt_and_comes_back_right_after_the_back_off() -> None:
    runner, rows = one()
    until = timezone.now() + timedelta(seconds=30)
    record(runner, rows, DEFERRED, is_try=False, not_before=until)
    found = Delivery.objects.get()
    assert (found.state, found.n_attempts, found.last_class) == ("deferred", 0, "busy")
    assert found.next_attempt_at == until
    assert not Attempt.objects.exists()
    now = timezone.now()
    assert sum(n for _, n in stats.series("deferred", now - timedelta(minutes=3), now, 60)) == 0


# ── Fencing ───────────────────────────────────────────────────────────────────────────────────


def assert_not_written(flags: list[bool]) -> None:
    assert flags == [False]
    assert not Attempt.objects.exists()
    assert not Suppression.objects.exists()
    assert n_wrong_counters() == 0


def test_another_token_writes_nothing() -> None:
    runner, rows = one()
    assert_not_written(record(runner + 1, rows, NO_USER))
    assert Delivery.objects.get().state == "sending"


def test_another_attempt_writes_nothing() -> None:
    runner, rows = one()
    rows[0].n_attempts += 1
    assert_not_written(record(runner, rows, NO_USER))


def test_what_went_back_is_not_written() -> None:
    runner, rows = one()
    release(runner, rows)
    assert_not_written(record(runner, rows, NO_USER))
    assert Delivery.objects.get().state == "queued"


def test_the_same_outcome_twice_is_written_once() -> None:
    runner, rows = one()
    assert record(runner, rows, DELIVERED) == [True]
    assert record(runner, rows, DELIVERED) == [False]
    assert Attempt.objects.count() == 1


def test_stale_rows_of_a_batch_leave_the_others_alone() -> None:
    put("a@x.test", "b@x.test")
    runner, rows = claimed()
    release(runner, rows[:1])
    assert record(runner, rows, NO_USER) == [False, True]
    assert sorted(Delivery.objects.filter(message__source="smtp").values_list("state", flat=True)) == [
        "bounced",
        "queued",
    ]
    assert Delivery.objects.filter(message__source="report").count() == 1
    assert n_wrong_counters() == 0


# ── Suppression ───────────────────────────────────────────────────────────────────────────────


def test_a_recipient_that_is_not_there_is_suppressed_with_the_evidence() -> None:
    put("Bob@example.net")
    runner, rows = claimed()
    record(runner, rows, NO_USER)
    found = Suppression.objects.get()
    assert (found.address, found.reply_class, found.evidence) == (
        "bob@example.net", "no_such_user", "550 5.1.1 no such user",
    )  # fmt: skip
    assert found.delivery_id == rows[0].id


def test_a_second_bounce_of_an_address_is_no_error() -> None:
    for name in "12":
        put("bob@example.net", name=name)
    runner, rows = claimed()
    assert len(rows) == 2
    assert record(runner, rows, NO_USER) == [True, True]
    assert Suppression.objects.count() == 1


@pytest.mark.parametrize(
    "reply_class",
    ["blocklisted", "authentication", "content", "policy", "too_large", "protocol", "other", "rate_limited"],
)
def test_failures_that_are_not_the_recipients_never_suppress(reply_class: str) -> None:
    runner, rows = one()
    record(runner, rows, Outcome("bounced", reply_class, 550, "5.7.1", "no"))
    assert not Suppression.objects.exists()


def test_a_deferral_never_suppresses() -> None:
    runner, rows = one()
    record(runner, rows, Outcome("deferred", "no_such_user", 450, "4.1.1", "not yet"))
    assert not Suppression.objects.exists()


# ── When again ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("n", "seconds"), [(1, 300), (2, 600), (3, 1200), (6, 9600), (7, 14400), (8, 14400), (60, 14400)]
)
def test_the_wait_doubles_to_the_cap_within_ten_percent(n: int, seconds: float) -> None:
    waits = [wait(n_attempts=n) for _ in range(20)]
    assert all(seconds * 0.9 <= each <= seconds * 1.1 for each in waits)
    assert len(set(waits)) > 1


def test_the_domains_own_schedule_counts() -> None:
    assert 9 <= wait(retry_first=10.0, retry_cap=15.0) <= 11
    assert 13.5 <= wait(retry_first=10.0, retry_cap=15.0, n_attempts=5) <= 16.5


def test_a_time_that_the_receiver_names_is_obeyed() -> None:
    greylisted = Outcome("deferred", "greylisted", 450, "4.7.1", "come back in 60 s", retry_in=60)
    limited = Outcome("deferred", "rate_limited", 421, "4.7.0", "in 1000 s", retry_in=1000)
    assert 60 < wait(greylisted) <= 66
    assert wait(limited) == 1000
    assert wait(limited, n_attempts=5) >= 1000


def test_it_is_never_put_off_past_its_end() -> None:
    assert wait(expires_at=NOW + timedelta(seconds=40)) == 40
    later = Outcome("deferred", "rate_limited", 421, "4.7.0", "tomorrow", retry_in=86400)
    assert wait(later, expires_at=NOW + timedelta(hours=1)) == 3600
    assert wait(expires_at=NOW - timedelta(hours=1)) == 0
    result = Result(row(expires_at=NOW + timedelta(seconds=9)), DEFERRED, NOW, is_try=False)
    result.not_before = NOW + timedelta(hours=1)
    assert decide(result).next_attempt_at == NOW + timedelta(seconds=9)


# ── Delay warnings ────────────────────────────────────────────────────────────────────────────


def is_late(**values: Any) -> bool:
    return decide(Result(row(**values), DEFERRED, NOW + timedelta(hours=4, seconds=1))).is_late


def test_a_sender_is_warned_after_four_hours() -> None:
    assert is_late()
    assert not decide(Result(row(), DEFERRED, NOW + timedelta(hours=3, minutes=59))).is_late


def test_nobody_is_warned_of_bulk_or_of_our_own_reports() -> None:
    assert not is_late(is_quiet=True)


def test_mail_that_was_to_wait_is_not_late() -> None:
    assert not is_late(waits_since=NOW + timedelta(hours=3))


def test_the_flag_is_set_with_the_first_late_deferral_and_comes_with_the_next_claim() -> None:
    runner, rows = one()
    assert not rows[0].is_warned
    record(runner, rows, DEFERRED, at=timezone.now() + timedelta(hours=5))
    assert Delivery.objects.get(recipient="bob@example.net").is_warned
    assert Delivery.objects.filter(message__source="report").count() == 1
    _make_due()
    rows = [each for each in claim(runner, 10) if each.recipient == "bob@example.net"]
    assert rows[0].is_warned
    record(runner, rows, DEFERRED, at=timezone.now() + timedelta(hours=9))
    assert Delivery.objects.filter(message__source="report").count() == 1


@pytest.mark.parametrize(
    "values",
    [
        {"sender": ""},
        {"content": b"Precedence: bulk\r\n\r\nx\r\n"},
        {"content": b"List-Unsubscribe: <mailto:x@y.test>\r\n\r\nx\r\n"},
        {"content": b"Auto-Submitted: auto-replied\r\n\r\nx\r\n"},
    ],
)
def test_claims_of_bulk_mail_and_null_senders_are_quiet(values: dict[str, Any]) -> None:
    assert one(**values)[1][0].is_quiet


# ── Hostile texts ─────────────────────────────────────────────────────────────────────────────

_HOSTILE = "a\0b\ud800\x1b[2J\r\n\u202e" + "x" * 5000


def test_hostile_texts_of_a_receiver_are_stored_on_every_database() -> None:
    put("bob@example.net", "eve@example.net")
    runner, rows = claimed()
    outcome = Outcome(
        "bounced", "no_such_user", 550, _HOSTILE, _HOSTILE, _HOSTILE, _HOSTILE, _HOSTILE, _HOSTILE, _HOSTILE
    )
    assert record(runner, rows[:1], outcome) == [True]
    assert record(runner, rows[1:], Outcome("deferred", "busy", text=_HOSTILE, host=_HOSTILE)) == [True]
    attempt = Attempt.objects.filter(result="bounced").get()
    texts = [
        attempt.text, attempt.host, attempt.enhanced, attempt.tls, attempt.rule, attempt.address,
        attempt.source, Suppression.objects.get().evidence,
        *Delivery.objects.values_list("last_text", flat=True),
        *Delivery.objects.values_list("last_host", flat=True),
    ]  # fmt: skip
    assert all(text.isprintable() and len(text) <= 1000 for text in texts)


def _make_due() -> None:
    Delivery.objects.filter(state="deferred").update(next_attempt_at=timezone.now())
    RecipientDomain.objects.update(due_at=timezone.now())


# ── Transcripts ───────────────────────────────────────────────────────────────────────────────


def test_it_keeps_the_transcript_of_what_failed_with_its_attempt() -> None:
    put("bob@example.net", "cid@example.net", "dora@example.net")
    runner, rows = claimed()
    said = replace(DEFERRED, transcript="    0.000 S: 451 later\n    0.100 C: QUIT 'quoted' \"\\")
    at = timezone.now()
    whats = [said, DELIVERED, replace(NO_USER, transcript="    0.000 S: 550 no")]
    assert all(
        outcome_.record(runner, [Result(one, what, at) for one, what in zip(rows, whats, strict=True)])
    )
    kept = {each.attempt.result: each.text for each in AttemptTranscript.objects.select_related("attempt")}
    assert kept == {"deferred": said.transcript, "bounced": "    0.000 S: 550 no"}


def test_it_keeps_each_attempt_its_own_transcript() -> None:
    runner, rows = one()
    for n in range(2):
        record(runner, rows, replace(DEFERRED, transcript=f"    0.000 S: 451 {n}"))
        Delivery.objects.update(next_attempt_at=timezone.now())
        RecipientDomain.objects.update(due_at=timezone.now())
        runner, rows = claimed(runner=runner)
    texts = AttemptTranscript.objects.order_by("attempt_id").values_list("text", flat=True)
    assert list(texts) == ["    0.000 S: 451 0", "    0.000 S: 451 1"]


def test_it_writes_no_transcript_where_nothing_was_tried() -> None:
    runner, rows = one()
    record(runner, rows, replace(DEFERRED, transcript="    0.000 S: 451 x"), is_try=False)
    assert not Attempt.objects.exists()
    assert not AttemptTranscript.objects.exists()


def test_it_stores_a_transcript_that_no_database_would_take() -> None:
    runner, rows = one()
    assert record(runner, rows, replace(DEFERRED, transcript="a\0b\ud800c" + "x" * 20_000)) == [True]
    text = AttemptTranscript.objects.get().text
    assert text.startswith("ab?c")
    assert len(text) == 10_000
