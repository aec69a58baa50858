"""A copy to a real sandbox, and what is said where it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from queueapp import conf
from queueapp.access.change import Actor, Missing, NotAllowed
from queueapp.conf import Address
from queueapp.models import AuditEvent, Delivery, Message
from queueapp.operations.copies import NotTaken, copy_to_sandbox
from tests.dashboard.people import as_role
from tests.engine.queue import put, sandbox

pytestmark = pytest.mark.django_db
ANN = Actor("user:ann", frozenset(("read", "operate")))


def test_it_copies_the_mail_as_it_would_leave(tmp_path: Path) -> None:
    put("bob+defer@example.net", name="7")
    message = Message.objects.get()
    with sandbox(tmp_path) as archive:
        number = copy_to_sandbox(ANN, message.pk)
        kept = archive.get(number)
    assert kept is not None
    assert kept.recipients == (f"copy-of-message-{message.pk}@sandbox.test",)
    assert kept.sender == "ann@example.com"
    assert b"Message-ID: <7@example.com>" in kept.content
    assert kept.content.startswith(b"Received: ")
    assert Delivery.objects.get().state == "queued", "the original is untouched"
    event = AuditEvent.objects.get()
    assert (event.action, event.target) == ("message.copy", f"message {message.pk}")


def test_it_says_that_no_sandbox_is_there() -> None:
    put("bob@example.net")
    with (
        conf.override(sandbox=Address("127.0.0.1", 1)),
        pytest.raises(NotTaken, match="did not take the copy"),
    ):
        copy_to_sandbox(ANN, Message.objects.get().pk)
    assert AuditEvent.objects.count() == 1, "it was tried"


def test_it_says_that_there_is_no_such_message() -> None:
    with pytest.raises(Missing):
        copy_to_sandbox(ANN, 4711)


def test_it_asks_for_the_scope() -> None:
    put("bob@example.net")
    with pytest.raises(NotAllowed):
        copy_to_sandbox(Actor("user:vera", frozenset(("read",))), Message.objects.get().pk)
    assert AuditEvent.objects.get().is_refused


def test_the_page_leads_to_the_copy(tmp_path: Path) -> None:
    put("bob@example.net")
    pk = Message.objects.get().pk
    client = as_role("operator")
    with sandbox(tmp_path):
        answer = client.post(f"/messages/{pk}/copy")
        assert client.get(answer["Location"]).status_code == 200
    assert answer["Location"].startswith("/sandbox/")


def test_the_page_says_what_stands_against_it() -> None:
    put("bob@example.net")
    delivery = Delivery.objects.get()
    client = as_role("operator")
    with conf.override(sandbox=Address("127.0.0.1", 1)):
        page = client.post(f"/messages/{delivery.message_id}/copy", follow=True).text
    assert "did not take the copy" in page
    values = {"address": "<script>", "reason": "x"}
    page = client.post(f"/deliveries/{delivery.pk}/readdress", values, follow=True).text
    assert "is not a usable address" in page
    assert "<script>&" not in page
    assert "&lt;script&gt;" in page
    values["address"] = "ben@example.net"
    page = client.post(f"/deliveries/{delivery.pk}/readdress", values, follow=True).text
    assert "It goes to ben@example.net now." in page
    page = client.post(f"/deliveries/{delivery.pk}/again", {"reason": "x"}, follow=True).text
    assert "once more" in page


@pytest.mark.parametrize(
    "path", ["messages/{message}/copy", "deliveries/{pk}/again", "deliveries/{pk}/readdress"]
)
def test_a_viewer_may_none_of_it(path: str) -> None:
    put("bob@example.net")
    delivery = Delivery.objects.get()
    answer = as_role("viewer").post(
        "/" + path.format(message=delivery.message_id, pk=delivery.pk), {"reason": "x"}
    )
    assert answer.status_code == 403
    assert AuditEvent.objects.get().is_refused
    assert Delivery.objects.count() == 1
