"""Running: restarts, cancel, rows in use, rows that can't be changed, several at once."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from queueapp import conf
from queueapp.access.change import COMMAND
from queueapp.engine import actions as engine
from queueapp.models import AuditEvent, Delivery, Operation, OperationChunk
from queueapp.operations import actions, freeze, run
from queueapp.operations.exceptions import page
from tests.engine.queue import DEFERRED, claimed, n_wrong_counters, put, record
from tests.models.rows import delivery

db = pytest.mark.django_db
pytestmark = pytest.mark.usefixtures("valkey")


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freeze, "CHUNK", 10)
    monkeypatch.setattr(freeze, "SMALL_CHUNK", 10)
    monkeypatch.setattr(run, "breath", lambda took: 0.0)


def many(n: int = 35, **values: Any) -> None:
    first = delivery("0@x.test", state="deferred", **values)
    rows = [
        Delivery(
            message_id=first.message_id, recipient=f"{i}@x.test", domain_id=first.domain_id, state="deferred",
            accepted_at=first.accepted_at, expires_at=first.expires_at,
        )
        for i in range(1, n)
    ]  # fmt: skip
    Delivery.objects.bulk_create(rows)
    n_wrong_counters()


def asked(action: str = "delete", n: int = 35, **values: Any) -> Operation:
    return actions.create(COMMAND, action, q="", expect=n, **values)


def seen(made: Operation) -> tuple[str, int, int, int]:
    made.refresh_from_db()
    assert n_wrong_counters() == 0
    return made.state, made.n_done, made.n_skipped, made.n_failed


@db
@pytest.mark.usefixtures("small_chunks")
def test_it_is_frozen_in_chunks_and_goes_on_behind_the_last_one() -> None:
    many()
    made = asked()
    assert [chunk.n for chunk in made.chunks.order_by("number")] == [10, 10, 10, 5]
    assert run.step(made.pk)
    assert run.step(made.pk)
    assert seen(made) == ("running", 20, 0, 0)
    # Another process goes on where this one was killed.
    assert not run.work()
    assert seen(made) == ("done", 35, 0, 0)
    assert Delivery.objects.filter(state="deleted", operation_id=made.pk).count() == 35


@db
@pytest.mark.usefixtures("small_chunks")
def test_a_chunk_that_was_cut_off_left_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    many()
    made = asked()

    class Killed(BaseException):
        pass

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run, "_count", dies)
        with pytest.raises(Killed):
            run.step(made.pk)
    assert seen(made) == ("running", 0, 0, 0)
    assert not Delivery.objects.filter(state="deleted").exists()
    run.work()
    assert seen(made) == ("done", 35, 0, 0)


@db
@pytest.mark.usefixtures("small_chunks")
def test_cancel_between_chunks_keeps_what_is_done_and_undo_takes_it_back() -> None:
    many()
    made = asked()
    run.step(made.pk)
    actions.cancel(COMMAND, made.pk)
    assert not run.work()
    assert seen(made) == ("cancelled", 10, 25, 0)
    assert {each.reason for each in page(made, 0, 100).items} == {"cancelled"}
    assert len(page(made, 0, 100).items) == 25
    actions.undo(COMMAND, made.pk)
    run.work()
    assert not Delivery.objects.exclude(state="deferred").exists()
    assert seen(made)[0] == "undone"


@db
def test_a_chunk_at_work_takes_its_part_back_when_it_was_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    many(5)
    made = asked(n=5)
    act = engine.act

    def and_cancel(*arguments: Any) -> Any:
        done = act(*arguments)
        actions.cancel(COMMAND, made.pk)
        return done

    monkeypatch.setattr(engine, "act", and_cancel)
    # In one connection the cancel is part of the chunk's transaction, and goes with it: so look at that.
    with pytest.raises(run._Ended), transaction.atomic():
        run._do(Operation.objects.get(pk=made.pk), made.chunks.get())
    assert not Delivery.objects.filter(state="deleted").exists()


@db
@pytest.mark.usefixtures("small_chunks")
def test_a_row_that_can_not_be_changed_is_found_and_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    many()
    bad = Delivery.objects.order_by("id")[17].pk
    act = engine.act

    def fails(action: str, ids: list[int], asked: Any) -> Any:
        if bad in ids:
            raise ValueError("a row of evil")
        return act(action, ids, asked)

    monkeypatch.setattr(engine, "act", fails)
    made = asked()
    run.work()
    assert seen(made) == ("done", 34, 0, 1)
    (left,) = page(made, 0, 10).items
    assert (left.id, left.is_failed, left.reason) == (bad, True, "error")
    assert "a row of evil" in left.why
    assert Delivery.objects.get(pk=bad).state == "deferred"


@db
def test_what_is_being_sent_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "AGAIN", timedelta(0))
    put("a@x.test", "b@x.test")
    runner, rows = claimed()
    made = asked("hold", 2)
    assert run.step(made.pk)
    assert seen(made) == ("running", 0, 0, 0)
    record(runner, rows[:1], DEFERRED)
    while run.step(made.pk):
        pass
    assert seen(made) == ("done", 1, 1, 0)
    (left,) = page(made, 0, 10).items
    assert (left.id, left.reason, left.why) == (rows[1].id, "sending", "It was being sent at that moment.")
    assert record(runner, rows[1:], DEFERRED) == [True]


@db
def test_its_end_is_in_the_audit_with_its_result() -> None:
    many(3)
    made = asked(n=3, reason="spam run")
    run.work()
    begun, done = AuditEvent.objects.filter(action__startswith="operation.").order_by("id")
    assert (begun.action, begun.n, begun.detail["reason"]) == ("operation.create", 3, "spam run")
    assert (done.action, done.n, done.detail["operation"]) == ("operation.done", 3, made.pk)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("small_chunks")
def test_two_at_once_do_each_chunk_once() -> None:
    many(95)
    made = asked("priority", 95, arguments={"priority": 7})

    def serve() -> None:
        try:
            run.work(30)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=serve) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen(made) == ("done", 95, 0, 0)
    assert Delivery.objects.filter(priority=7).count() == 95


@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_else_holds_is_left_to_a_later_try(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer: nobody else holds a row")
    monkeypatch.setattr(run, "AGAIN", timedelta(0))
    many(3)
    held = Delivery.objects.order_by("id").first()
    assert held is not None
    made = asked(n=3)
    locked, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            list(Delivery.objects.select_for_update().filter(pk=held.pk))
            locked.set()
            let_go.wait(30)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(30)
    assert run.step(made.pk)
    assert seen(made)[:3] == ("running", 2, 0)
    let_go.set()
    thread.join(30)
    run.work()
    assert seen(made) == ("done", 3, 0, 0)


@db
def test_old_operations_are_pruned_with_their_sets() -> None:
    from queueapp.engine.prune import prune_records

    many(3)
    made = asked(n=3)
    run.work()
    assert prune_records(timezone.now())["operations"] == 0
    Operation.objects.filter(pk=made.pk).update(ended_at=timezone.now() - timedelta(days=91))
    assert prune_records(timezone.now())["operations"] == 1
    assert not OperationChunk.objects.exists()


@db
def test_mail_goes_by_itself_while_a_domain_is_worked_at() -> None:
    """What waits after an operation is found by the claim: `due_at` is never too late."""
    put("a@x.test", "b@x.test", "c@x.test")
    made = actions.create(COMMAND, "hold", q="to:a@x.test", expect=1)
    run.work()
    runner, rows = claimed()
    assert sorted(row.recipient for row in rows) == ["b@x.test", "c@x.test"]
    record(runner, rows, DEFERRED)
    with conf.override(max_age=timedelta(days=5)):
        actions.create(COMMAND, "release", q="state:held", expect=1)
        run.work()
    assert [row.recipient for row in claimed()[1]] == ["a@x.test"]
    assert seen(made)[0] == "done"


@db
def test_what_can_not_match_is_an_empty_set() -> None:
    many(2)
    made = actions.create(COMMAND, "delete", q="domain:nowhere.test", expect=0)
    run.work()
    assert seen(made) == ("done", 0, 0, 0)
    with pytest.raises(actions.NotAsShown):
        actions.create(COMMAND, "delete", ids=[-1])


@db
def test_one_that_can_not_go_on_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    many(3)
    bad = asked("retry", 3)
    good = asked("hold", 3)

    def fails(row: Operation) -> bool:
        raise ValueError("no plan")

    monkeypatch.setattr(run.paced, "is_ready", fails)
    assert not run.work()
    assert seen(bad) == ("failed", 0, 3, 0)
    assert "no plan" in bad.note
    assert len(page(bad, 0, 10).items) == 3
    assert seen(good) == ("done", 3, 0, 0)


def test_others_who_write_get_room_after_each_chunk() -> None:
    if connection.vendor != "sqlite":
        assert run.breath(3.0) == 0
        return
    assert run.breath(0.01) == 0.05
    assert run.breath(0.5) == 0.25
    assert run.breath(60.0) == 1.0
