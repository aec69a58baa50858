"""Send again, and correct an address: a new delivery, an old one that tells why it ended, one audit row."""

from __future__ import annotations

from typing import Any

import pytest

from queueapp import stats
from queueapp.access.change import Actor, Missing, NotAllowed, Taken, Wrong
from queueapp.engine.counters import recount
from queueapp.models import AuditEvent, Delivery, Message, Suppression
from queueapp.operations.again import readdress, send_again
from tests.engine.queue import DELIVERED, claimed, n_wrong_counters, put, record

pytestmark = pytest.mark.django_db
ANN = Actor("user:ann", frozenset(("read", "operate")), "192.0.2.7")
VERA = Actor("user:vera", frozenset(("read",)))


def one(state: str = "deferred", to: str = "bbo@example.net", **values: Any) -> Delivery:
    (pk,) = put(to)
    Delivery.objects.filter(pk=pk).update(state=state, **values)
    row = Delivery.objects.get(pk=pk)
    recount([row.domain_id])
    return row


def test_it_sends_to_the_corrected_address_and_closes_the_old_delivery() -> None:
    old = one()
    new = readdress(ANN, old.pk, "bob@Example.org", "mistyped")
    old.refresh_from_db()
    assert (new.recipient, new.state, new.message_id) == ("bob@example.org", "queued", old.message_id)
    assert (old.state, old.last_class) == ("bounced", "readdressed")
    assert old.last_text == "the address was corrected to bob@example.org by user:ann: mistyped"
    assert old.next_attempt_at is None
    assert Message.objects.count() == 1, "no report to the sender"
    assert n_wrong_counters() == 0
    event = AuditEvent.objects.get(action="delivery.readdress")
    assert (event.actor, event.origin, event.n) == ("user:ann", "192.0.2.7", 1)
    assert event.target == f"delivery {old.pk} to bbo@example.net"
    assert event.detail == {"address": "bob@example.org", "reason": "mistyped", "new": new.pk}


def test_what_it_makes_is_delivered() -> None:
    old = one()
    new = readdress(ANN, old.pk, "bob@example.org", "mistyped")
    runner, rows = claimed()
    assert [row.id for row in rows] == [new.pk]
    assert record(runner, rows, DELIVERED) == [True]
    assert stats.depth()["delivered"] == 1
    assert n_wrong_counters() == 0


def test_it_leaves_what_has_bounced_as_it_was() -> None:
    old = one("bounced", last_class="no_such_user", last_text="no such user")
    readdress(ANN, old.pk, "bob@example.org", "mistyped")
    old.refresh_from_db()
    assert (old.state, old.last_class) == ("bounced", "no_such_user")


def test_what_was_held_is_held_again() -> None:
    old = one("held", hold_reason="the text is wrong")
    new = readdress(ANN, old.pk, "bob@example.org", "mistyped")
    assert (new.state, new.hold_reason) == ("held", "the text is wrong")
    assert n_wrong_counters() == 0


@pytest.mark.parametrize("state", ["sending", "delivered", "deleted"])
def test_it_corrects_no_address_of_what_is_under_way_or_done(state: str) -> None:
    old = one(state)
    with pytest.raises(Taken, match=state):
        readdress(ANN, old.pk, "bob@example.org", "x")
    assert Delivery.objects.count() == 1
    assert not AuditEvent.objects.exists()


def test_it_takes_nothing_out_of_a_runners_hands() -> None:
    put("bbo@example.net")
    old = Delivery.objects.get()
    claimed()
    assert Delivery.objects.get().state == "sending"
    with pytest.raises(Taken):
        readdress(ANN, old.pk, "bob@example.org", "x")


@pytest.mark.parametrize(
    ("address", "reason", "field"),
    [
        ("no-domain", "x", "address"), ("a@b@c", "x", "address"), ("a\r\nb@c.test", "x", "address"),
        ("<a@c.test>", "x", "address"), ("", "x", "address"), ("bbo@example.net", "x", "address"),
        ("bob@example.org", "", "reason"), ("bob@example.org", "a\nb", "reason"),
        ("bob@example.org", "x" * 201, "reason"), ("jörg@example.org", "x", "address"),
    ],
)  # fmt: skip
def test_it_refuses_what_can_not_be(address: str, reason: str, field: str) -> None:
    old = one()
    with pytest.raises(Wrong) as caught:
        readdress(ANN, old.pk, address, reason)
    assert caught.value.field == field
    old.refresh_from_db()
    assert old.state == "deferred"
    assert Delivery.objects.count() == 1


def test_it_sends_to_nobody_who_is_suppressed() -> None:
    old = one()
    Suppression.objects.create(
        address="bob@example.org", reply_class="no_such_user", reason="unknown", created_at=old.accepted_at
    )
    with pytest.raises(Taken, match="suppressed"):
        readdress(ANN, old.pk, "Bob@example.org", "x")


def test_it_sends_to_nobody_twice() -> None:
    first, _ = put("bbo@example.net", "bob@example.net")
    with pytest.raises(Taken, match="already"):
        readdress(ANN, first, "bob@example.net", "x")


def test_it_sends_again_what_is_over() -> None:
    old = one("delivered")
    new = send_again(ANN, old.pk, "lost there")
    old.refresh_from_db()
    assert old.state == "delivered"
    assert (new.recipient, new.state, new.message_id) == (old.recipient, "queued", old.message_id)
    assert n_wrong_counters() == 0
    with pytest.raises(Taken, match="already"):
        send_again(ANN, old.pk, "and once more")
    assert AuditEvent.objects.get().action == "delivery.again"


@pytest.mark.parametrize("state", ["queued", "deferred", "held", "sending", "deleted"])
def test_it_does_not_send_again_what_is_open(state: str) -> None:
    with pytest.raises(Taken, match=state):
        send_again(ANN, one(state).pk, "x")


def test_it_refuses_who_may_not_and_writes_it_down() -> None:
    old = one()
    with pytest.raises(NotAllowed):
        readdress(VERA, old.pk, "bob@example.org", "x")
    with pytest.raises(NotAllowed):
        send_again(VERA, old.pk, "x")
    refused = AuditEvent.objects.filter(is_refused=True).values_list("action", flat=True)
    assert set(refused) == {"delivery.readdress", "delivery.again"}
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize("pk", [0, -1, 4711, 2**64])
def test_it_says_that_there_is_no_such_delivery(pk: int) -> None:
    with pytest.raises(Missing):
        readdress(ANN, pk, "bob@example.org", "x")
