"""The API of alerts: what holds, acknowledged once, silenced until an end, rules changed; each refusal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from queueapp.models import Alert, AlertRule, AuditEvent, RecipientDomain, Silence
from tests.dashboard.alerts import a_rule, an_alert, an_old_alert
from tests.dashboard.api.asking import is_error, key, with_key
from tests.dashboard.api.test_limits import send
from tests.dashboard.rows import now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def operator() -> Client:
    return with_key(key("read", "operate", name="ops"))


@pytest.mark.once
def test_there_may_be_none(operator: Client) -> None:
    assert send(operator, "GET", "/alerts").json() == {"items": [], "count": 0}
    assert send(operator, "GET", "/silences").json() == []


def test_it_tells_what_holds_and_what_was(operator: Client) -> None:
    an_alert("Mail is late", severity="warning")
    an_alert("Nothing is delivered")
    an_alert("Not yet", state="pending", fired_at=None)
    an_old_alert()
    found = send(operator, "GET", "/alerts").json()
    assert [(each["title"], each["state"]) for each in found["items"]] == [
        ("Nothing is delivered", "firing"), ("Mail is late", "firing"),
    ]  # fmt: skip
    assert (found["count"], found["items"][0]["value"], found["items"][0]["unit"]) == (2, 1260, "seconds")
    [was] = send(operator, "GET", "/alerts?over=true").json()["items"]
    assert (was["title"], was["state"]) == ("It was late", "resolved")


def test_an_alert_is_acknowledged_once(operator: Client) -> None:
    made = an_alert()
    path = f"/alerts/{made.pk}/ack"
    found = send(operator, "POST", path, {"note": "on it"}).json()
    assert (found["state"], found["acknowledged_by"], found["note"]) == ("acknowledged", "ops", "on it")
    is_error(send(operator, "POST", path, {}), 409, "conflict")
    is_error(send(operator, "POST", "/alerts/999/ack", {}), 404, "not_found")
    is_error(send(operator, "POST", f"/alerts/{an_old_alert().pk}/ack", {}), 409, "conflict")
    reader = with_key(key("read", name="reader"))
    is_error(send(reader, "POST", f"/alerts/{an_alert('Other').pk}/ack", {}), 403, "scope_missing")
    assert Alert.objects.filter(state="acknowledged").count() == 1
    assert AuditEvent.objects.filter(action="alert.acknowledge", actor="ops").exists()


def test_a_silence_has_an_end_and_a_reason(operator: Client) -> None:
    until = (now() + timedelta(hours=1)).isoformat()
    made = send(operator, "POST", "/silences", {"reason": "works", "until": until, "only": "*.example"})
    assert made.status_code == 201, made.content
    assert made.json()["made_by"] == "ops"
    past = (now() - timedelta(hours=1)).isoformat()
    is_error(send(operator, "POST", "/silences", {"reason": "x", "until": past}), 422, "invalid", "until")
    is_error(send(operator, "POST", "/silences", {"reason": " ", "until": until}), 422, "invalid", "reason")
    wrong = {"reason": "x", "until": until, "severity": "loud"}
    is_error(send(operator, "POST", "/silences", wrong), 422, "invalid", "severity")
    path = f"/silences/{made.json()['id']}"
    assert send(operator, "DELETE", path).status_code == 204
    is_error(send(operator, "DELETE", path), 409, "conflict")
    is_error(send(operator, "DELETE", "/silences/999"), 404, "not_found")
    assert Silence.objects.get().lifted_by == "ops"


def test_only_an_administrator_changes_a_rule(operator: Client) -> None:
    rule = a_rule()
    path = f"/alert-rules/{rule.pk}"
    is_error(send(operator, "PATCH", path, {"threshold": 60}), 403, "scope_missing")
    admin = with_key(key("read", "admin", name="boss"))
    found = send(admin, "PATCH", path, {"threshold": 60, "holds_for": 90, "recipients": ["a@example.com"]})
    assert (found.json()["threshold"], found.json()["holds_for"]) == (60, 90)
    assert [each["recipients"] for each in send(admin, "GET", "/alert-rules").json()] == [["a@example.com"]]
    is_error(send(admin, "PATCH", path, {"recipients": ["nobody"]}), 422, "invalid", "recipients")
    is_error(send(admin, "PATCH", path, {"remind_every": 5}), 422, "invalid", "remind_every")
    is_error(send(admin, "PATCH", path, {"moon": 1}), 422, "invalid", "asked.moon")
    is_error(send(admin, "PATCH", "/alert-rules/999", {"threshold": 1}), 404, "not_found")


def test_rules_with_a_search_are_made_and_tried() -> None:
    admin, asked = with_key(key("read", "admin", name="boss")), {"condition": "search", "threshold": 6}
    RecipientDomain.objects.create(name="a.test", n_deferred=7)
    tried = send(admin, "POST", "/alert-rules/try", {**asked, "query": "state:deferred domain:a.test"}).json()
    assert (tried["holds"], tried["n"]) == (True, 7)
    made = send(admin, "POST", "/alert-rules", {**asked, "name": "Ours", "query": "domain:a.test"})
    assert (made.status_code, made.json()["query"]) == (201, "domain:a.test")
    wrong = send(admin, "POST", "/alert-rules", {**asked, "name": "Other", "query": "domain:a.test sale"})
    assert is_error(wrong, 400, "bad_query", "query")["position"] == 14
    taken = send(admin, "POST", "/alert-rules", {**asked, "name": "Ours", "query": "domain:a.test"})
    is_error(taken, 409, "conflict")
    no_limit = {"condition": "search", "name": "B", "query": "domain:a.test"}
    is_error(send(admin, "POST", "/alert-rules", no_limit), 422, "invalid", "threshold")
    assert send(admin, "DELETE", f"/alert-rules/{made.json()['id']}").status_code == 204
    assert not AlertRule.objects.exists()
