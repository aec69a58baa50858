"""What each verb does to rows in each state, with exact counters; and that undo takes it back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from queueapp.access.change import COMMAND, Actor, NotAllowed, Wrong
from queueapp.models import (
    Attempt,
    AuditEvent,
    Delivery,
    Message,
    Operation,
    RecipientDomain,
    Route,
    State,
)
from queueapp.operations import actions, run
from queueapp.operations.exceptions import page
from tests.engine.queue import n_wrong_counters, states
from tests.models.rows import delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
STATES = [state.value for state in State]
AT = timezone.now() - timedelta(hours=1)


def do(action: str, q: str = "", **values: Any) -> Operation:
    """Ask for it, and do it to its end; rows in use are not waited for."""
    made = actions.create(COMMAND, action, q=q, expect=Delivery.objects.matching(q).count(), **values)
    return finish(made)


def finish(made: Operation) -> Operation:
    made.chunks.update(n_tries=run.MOST_TRIES)
    while run.step(made.pk):
        pass
    made.refresh_from_db()
    assert not made.is_open
    assert made.n_seen == made.n_matched
    assert n_wrong_counters() == 0
    return made


def one_of_each() -> None:
    for state in STATES:
        values: dict[str, Any] = {"hold_reason": "look at it"} if state == "held" else {}
        if state == "deleted":
            values["finished_at"] = timezone.now()
        n = 1 if state in ("deferred", "bounced") else 0
        delivery(f"{state}@x.test", state=state, next_attempt_at=AT, n_attempts=n, **values)


AFTER = {
    "retry": {},
    "hold": {"queued": "held", "deferred": "held"},
    "release": {"held": "queued"},
    "bounce": dict.fromkeys(("queued", "deferred", "held"), "bounced"),
    "delete": dict.fromkeys(("queued", "deferred", "held"), "deleted"),
    "restore": {"deleted": "queued"},
    "priority": {},
    "reroute": {},
}
DONE = {"retry": 1, "priority": 3, "reroute": 3}


def arguments(action: str) -> dict[str, Any] | None:
    if action == "reroute":
        Route.objects.get_or_create(name="backup", kind="relay", host="backup.test")
        return {"route": "backup"}
    return {"priority": 9} if action == "priority" else None


@pytest.mark.parametrize("action", list(AFTER))
def test_it_changes_what_it_is_for_and_says_why_the_rest_was_left(action: str) -> None:
    one_of_each()
    made = do(action, "domain:x.test", arguments=arguments(action))
    expected = {f"{state}@x.test": AFTER[action].get(state, state) for state in STATES}
    found = states()
    assert {name: found[name] for name in expected} == expected
    n = DONE.get(action, len(AFTER[action]))
    assert (made.n_done, made.n_skipped, made.n_failed) == (n, len(STATES) - n, 0)
    listed = page(made, 0, 100).items
    assert len(listed) == len(STATES) - n
    assert {each.recipient.partition("@")[0] for each in listed} == {each.reason for each in listed}


@pytest.mark.parametrize("action", sorted(actions.UNDOABLE))
def test_undo_brings_back_exactly_what_was(action: str) -> None:
    one_of_each()
    names = [field.attname for field in Delivery._meta.concrete_fields]
    names = [name for name in names if name not in ("operation_id", "expires_at")]
    if action in ("release", "restore"):
        names.remove("next_attempt_at")
    if action == "restore":
        names.remove("finished_at")
    before = list(Delivery.objects.order_by("id").values(*names))
    made = do(action, reason="because", arguments=arguments(action))
    assert list(Delivery.objects.order_by("id").values(*names)) != before
    undone = finish(actions.undo(COMMAND, made.pk))
    assert list(Delivery.objects.order_by("id").values(*names)) == before
    assert (undone.n_done, undone.n_skipped) == (made.n_done, 0)
    made.refresh_from_db()
    assert made.state == "undone"


def test_reroute_leads_by_the_route_and_back_and_its_name_is_searched_for() -> None:
    rows = [delivery(f"{name}@x.test", next_attempt_at=AT) for name in "ab"]
    do("reroute", f"id:{rows[0].pk}", arguments=arguments("reroute"))
    assert Delivery.objects.matching("route:backup").get() == rows[0]
    assert Delivery.objects.matching("-route:*").get() == rows[1]
    made = do("reroute", "route:backup", arguments={"route": "default"})
    assert (made.n_done, made.arguments) == (1, {"route": "default", "route_id": None})
    assert not Delivery.objects.filter(route__isnull=False).exists()
    undone = finish(actions.undo(COMMAND, made.pk))
    assert undone.n_done == 1
    assert str(Delivery.objects.get(pk=rows[0].pk).route) == "backup"


def test_reroute_is_for_administrators_and_needs_a_route_that_is_there() -> None:
    delivery("a@x.test", next_attempt_at=AT)
    operator = Actor("olga", frozenset({"read", "operate"}))
    with pytest.raises(NotAllowed):
        actions.create(operator, "reroute", q="", expect=1, arguments=arguments("reroute"))
    made = do("reroute", arguments=arguments("reroute"))
    with pytest.raises(NotAllowed):
        actions.undo(operator, made.pk)
    assert AuditEvent.objects.filter(actor="olga", is_refused=True).count() == 2
    for wrong in ({}, {"route": "nowhere"}, {"route": 7}):
        with pytest.raises(Wrong) as caught:
            actions.create(COMMAND, "reroute", q="", expect=1, arguments=wrong)
        assert caught.value.field == "route"


def test_undo_leaves_what_somebody_changed_since() -> None:
    one, two, three = (delivery(f"{name}@x.test", next_attempt_at=AT) for name in "abc")
    made = do("hold")
    do("release", f"id:{one.pk}")
    do("delete", f"id:{two.pk}")
    undone = finish(actions.undo(COMMAND, made.pk))
    assert (undone.n_done, undone.n_skipped) == (1, 2)
    assert [(each.id, each.reason) for each in page(undone, 0, 10).items] == [
        (one.pk, "queued"), (two.pk, "deleted"),
    ]  # fmt: skip
    assert states() == {"a@x.test": "queued", "b@x.test": "deleted", "c@x.test": "queued"}
    assert Delivery.objects.get(pk=three.pk).hold_reason == ""


def test_undo_knows_its_own_work_from_the_same_done_again() -> None:
    row = delivery("a@x.test", next_attempt_at=AT)
    first = do("delete")
    do("restore")
    do("delete")
    undone = finish(actions.undo(COMMAND, first.pk))
    assert (undone.n_done, undone.n_skipped) == (0, 1)
    assert page(undone, 0, 10).items[0].reason == "changed"
    assert Delivery.objects.get(pk=row.pk).state == "deleted"


def test_what_was_released_and_tried_is_not_held_again() -> None:
    row = delivery("a@x.test", state="held", hold_reason="x", next_attempt_at=AT)
    made = do("release")
    Delivery.objects.filter(pk=row.pk).update(last_attempt_at=timezone.now())
    undone = finish(actions.undo(COMMAND, made.pk))
    assert (undone.n_done, page(undone, 0, 10).items[0].reason) == (0, "changed")


def test_bounce_tells_the_sender_and_not_why() -> None:
    row = delivery("a@x.test", sender="ann@sender.test", next_attempt_at=AT)
    delivery("b@x.test", sender="", next_attempt_at=AT)
    do("bounce", "domain:x.test", reason="customer 4711 is a spammer")
    row.refresh_from_db()
    assert (row.state, row.last_class, row.next_attempt_at) == ("bounced", "cancelled", None)
    assert "4711" in row.last_text
    report = Message.objects.get(source="report")
    assert report.deliveries.get().recipient == "ann@sender.test"
    content = bytes(report.body.content)
    assert b"Given back to its sender by an administrator" in content
    assert b"Status: 5.0.0" in content
    assert b"4711" not in content
    assert Attempt.objects.get(delivery=row).rule == "operation"
    assert RecipientDomain.objects.get(name="sender.test").n_queued == 1


def test_released_mail_gets_a_day_to_be_tried_in_unless_its_sender_named_an_end() -> None:
    long_ago = timezone.now() - timedelta(days=9)
    row = delivery("a@x.test", state="held", hold_reason="x", expires_at=long_ago, next_attempt_at=AT)
    named = delivery("b@x.test", state="held", hold_reason="x", expires_at=long_ago, next_attempt_at=AT)
    Message.objects.filter(pk=named.message_id).update(expires_at=long_ago)
    do("release")
    assert Delivery.objects.get(pk=row.pk).expires_at > timezone.now() + timedelta(hours=23)
    assert Delivery.objects.get(pk=named.pk).expires_at == long_ago


def test_a_time_that_a_sender_asked_for_stays() -> None:
    later = timezone.now() + timedelta(days=2)
    row = delivery("a@x.test", state="held", hold_reason="x", next_attempt_at=later)
    do("release")
    assert Delivery.objects.get(pk=row.pk).next_attempt_at == later
