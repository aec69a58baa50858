"""The pages of operations: history, result, exceptions, undo and cancel."""

from __future__ import annotations

import pytest
from django.test import Client

from queueapp.access.change import COMMAND
from queueapp.models import Operation
from queueapp.operations import actions, run
from tests.dashboard.rows import HOSTILE, a_delivery, a_message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]


def done(reason: str = "Too old") -> Operation:
    """Two that were held, and one that was delivered before."""
    message = a_message()
    for each, state in enumerate(("deferred", "queued", "delivered")):
        a_delivery(message, recipient=f"r{each}@example.com", state=state)
    made = actions.create(COMMAND, "hold", q="domain:example.com", expect=3, reason=reason)
    run.work(5)
    made.refresh_from_db()
    return made


def test_it_works(admin_client: Client) -> None:
    made = done()
    listed = admin_client.get("/operations").text
    for text in (
        "Hold 3 deliveries",
        "domain:example.com",
        "Too old",
        "command",
        f'href="/operations/{made.pk}"',
    ):
        assert text in listed
    page = admin_client.get(f"/operations/{made.pk}").text
    for text in ("Hold 3 deliveries", "Too old", "r2@example.com", "It was delivered.", "Undo", "done"):
        assert text in page
    assert "r0@example.com" not in page


def test_it_undoes_from_the_page(admin_client: Client) -> None:
    made = done()
    answer = admin_client.post(f"/operations/{made.pk}/undo", follow=True)
    assert "Undo for 2 deliveries" in answer.text
    run.work(5)
    assert "Undone by" in admin_client.get(f"/operations/{made.pk}").text
    again = admin_client.post(f"/operations/{made.pk}/undo", follow=True)
    assert 'role="alert"' in again.text
    assert "undone already" in again.text


def test_it_cancels_from_the_page(admin_client: Client) -> None:
    a_delivery()
    made = actions.create(COMMAND, "hold", q="", expect=1)
    page = admin_client.post(f"/operations/{made.pk}/cancel", follow=True).text
    assert "cancelled" in page
    assert "Cancelled by" in page
    run.work(5)
    again = admin_client.post(f"/operations/{made.pk}/cancel", follow=True).text
    assert "nothing left to cancel" in again


def test_it_shows_exceptions_page_by_page(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.pages.operations.EXCEPTIONS", 2)
    message = a_message()
    for each in range(3):
        a_delivery(message, recipient=f"x{each}@example.com", state="bounced")
    made = actions.create(COMMAND, "hold", q="", expect=3)
    run.work(5)
    first = admin_client.get(f"/operations/{made.pk}").text
    assert "x1@example.com" in first
    assert "x2@example.com" not in first
    more = first.split('rel="next"')[0].rpartition('href="')[2].split('"')[0]
    second = admin_client.get(f"/operations/{made.pk}{more}").text
    assert "x2@example.com" in second
    assert "x1@example.com" not in second


def test_it_turns_pages(admin_client: Client) -> None:
    a_delivery()
    for _ in range(51):
        actions.create(COMMAND, "hold", q="", expect=1)
    first = admin_client.get("/operations").text
    oldest = Operation.objects.order_by("id")[0].pk
    assert f'id="op-{oldest}"' not in first
    before = Operation.objects.order_by("id")[1].pk
    assert f'href="?before={before}"' in first
    assert f'id="op-{oldest}"' in admin_client.get("/operations", {"before": before}).text


def test_it_explains_an_empty_list(admin_client: Client) -> None:
    assert "No operations yet" in admin_client.get("/operations").text


def test_it_answers_htmx_with_the_part_alone(admin_client: Client) -> None:
    made = done()
    for path in ("/operations", f"/operations/{made.pk}"):
        answer = admin_client.get(path, headers={"HX-Request": "true"}).text
        assert "<html" not in answer
        assert "Hold 3" in answer or "domain:example.com" in answer


@pytest.mark.parametrize("verb", ["", "/undo", "/cancel"])
def test_there_is_none_of_that_number(admin_client: Client, verb: str) -> None:
    path = f"/operations/4711{verb}"
    answer = admin_client.post(path) if verb else admin_client.get(path)
    assert answer.status_code == 404


def test_it_escapes_what_people_write(admin_client: Client) -> None:
    made = done(HOSTILE)
    for path in ("/operations", f"/operations/{made.pk}"):
        page = admin_client.get(path).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page
