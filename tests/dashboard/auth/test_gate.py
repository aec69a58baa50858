"""Who may open what: by role, by single permission, by page and API alike; refusals are in the audit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from queueapp.access import refusals
from queueapp.models import AuditEvent
from tests.dashboard.api.asking import is_error, key, with_key
from tests.dashboard.people import a_person, as_role, logged_in
from tests.dashboard.rows import a_message

pytestmark = [pytest.mark.once, pytest.mark.django_db]
BODIES = ("message-html", "message-source", "message-eml")


@pytest.fixture(autouse=True)
def _forget() -> None:
    refusals.forget()


def test_a_viewer_reads_no_body_by_page_or_api() -> None:
    client, pk = as_role("viewer"), a_message().pk
    for name in BODIES:
        assert client.get(reverse(name, args=[pk])).status_code == 403
    is_error(client.get(f"/api/v1/messages/{pk}/raw"), 403, "scope_missing")
    events = list(AuditEvent.objects.order_by("id"))
    assert [event.action for event in events] == ["http.get"] * 4
    assert all(event.is_refused and event.detail == {"needs": "bodies"} for event in events)
    assert (events[0].actor, events[0].origin) == ("user:vera", "127.0.0.1")
    assert events[-1].target == f"/api/v1/messages/{pk}/raw"


def test_a_viewer_sees_the_message_without_what_it_says() -> None:
    page = as_role("viewer").get(reverse("message", args=[a_message().pk])).text
    assert "Hello" in page
    assert "Good morning" not in page
    assert "the permission <strong>bodies</strong>" in page


@pytest.mark.parametrize(("role", "more"), [("operator", ()), ("administrator", ()), ("viewer", ("bodies",))])
def test_who_may_reads_it_by_page_and_api(role: str, more: tuple[str, ...]) -> None:
    client, pk = as_role(role, *more), a_message().pk
    assert "Good morning" in client.get(reverse("message", args=[pk])).text
    assert "Good morning" in client.get(reverse("message-source", args=[pk])).text
    assert b"Good morning" in client.get(f"/api/v1/messages/{pk}/raw").content
    assert not AuditEvent.objects.exists()


def test_the_refusal_says_what_is_missing_and_who_can_give_it() -> None:
    a_person("grace", "administrator")
    page = as_role("campaigns").get(reverse("message-source", args=[a_message().pk])).text
    assert "the permission <strong>bodies</strong>: to read what mails say" in page
    assert "campaign staff" in page
    assert "grace" in page


def test_a_key_that_reads_still_reads_all() -> None:
    pk = a_message().pk
    assert with_key(key("read")).get(f"/api/v1/messages/{pk}/raw").status_code == 200
    is_error(with_key(key("submit", name="b")).get(f"/api/v1/messages/{pk}/raw"), 403, "scope_missing")
    assert AuditEvent.objects.filter(is_refused=True).get().actor == "b"


def test_a_part_of_a_page_sends_the_whole_page_to_the_log_in() -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/deliveries?q=a"}
    answer = Client(headers=headers).get("/deliveries?q=b")
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == "/login?next=/deliveries%3Fq%3Da"


def test_a_part_that_is_refused_says_so_in_a_part() -> None:
    client = logged_in(a_person(), headers={"HX-Request": "true"})
    answer = client.get(reverse("message-source", args=[a_message().pk]))
    assert answer.status_code == 403
    assert "<html" not in answer.text
    assert "bodies" in answer.text


def test_a_role_that_is_taken_away_counts_at_once() -> None:
    person = a_person("otto", "operator")
    client, url = logged_in(person), reverse("message-source", args=[a_message().pk])
    assert client.get(url).status_code == 200
    person.groups.clear()
    assert client.get(url).status_code == 403


def test_a_flood_of_refusals_is_counted_and_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MOST", 3)
    client, url = as_role(), reverse("message-source", args=[a_message().pk])
    for _ in range(10):
        assert client.get(url).status_code == 403
    assert AuditEvent.objects.count() == 3
    later = refusals.time.monotonic() + refusals.WINDOW + 1
    monkeypatch.setattr(refusals.time, "monotonic", lambda: later)
    client.get(url)
    assert AuditEvent.objects.latest("id").detail == {"needs": "bodies", "more": 7}


def test_changes_are_checked_by_their_action_whoever_asks() -> None:
    body: Any = json.dumps({"kind": "tag", "value": "x", "reason": "why"})
    client = as_role("operator")
    client.cookies["mailweir_csrf"] = "a" * 32
    answer = client.post("/api/v1/holds", body, "application/json", headers={"X-CSRFToken": "a" * 32})
    is_error(answer, 403, "scope_missing")
    event = AuditEvent.objects.get()
    assert (event.action, event.target, event.is_refused) == ("hold.create", "tag x", True)
