"""Rules of alerts: read by all, changed by administrators, in sentences."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from dashboard.pages.alert_rule_form import sentence
from queueapp import conf
from queueapp.models import AlertRule, AuditEvent, RecipientDomain
from tests.dashboard.alerts import a_rule
from tests.dashboard.people import as_role
from tests.watch.mailbox import Mailbox

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def typed(**values: str) -> dict[str, str]:
    return {
        "name": "Ours", "condition": "oldest_due", "severity": "critical", "threshold": "600",
        "holds_for": "10m", "clear_for": "5m", "remind_every": "4h",
        "recipients": "a@example.com, b@example.com",
        **values,
    }  # fmt: skip


def test_it_works(admin_client: Client) -> None:
    answer = admin_client.post("/alerts/rules/new", typed(), follow=True)
    assert "Ours: kept." in answer.text
    made = AlertRule.objects.get(name="Ours")
    assert (made.holds_for, made.clear_for, made.remind_every) == (
        timedelta(minutes=10), timedelta(minutes=5), timedelta(hours=4),
    )  # fmt: skip
    assert made.recipients == ["a@example.com", "b@example.com"]
    page = admin_client.get(f"/alerts/rules/{made.pk}").text
    for part in ('value="10m"', 'value="600"', 'value="4h"', "a@example.com, b@example.com", "Remove"):
        assert part in page
    changed = admin_client.post(
        f"/alerts/rules/{made.pk}", typed(threshold="900", remind_every=""), follow=True
    )
    assert "kept" in changed.text
    made.refresh_from_db()
    assert (made.threshold, made.remind_every) == (900, None)


def test_a_rule_is_a_sentence() -> None:
    rule = a_rule(
        holds_for=timedelta(minutes=5), recipients=["a@example.com"], remind_every=timedelta(hours=4)
    )
    text = sentence(rule)
    for part in ("for 5 min", "tell a@example.com", "again every 4 h", "clear for 3 min"):
        assert part in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"holds_for": "soon"}, "is not a time such as"),
        ({"threshold": "many"}, "is not a number"),
        ({"threshold": "nan"}, "is not a number"),
        ({"recipients": "nobody"}, "nobody"),
        ({"severity": "bad"}, "bad"),
        ({"name": ""}, "name is needed"),
        ({"remind_every": "1s"}, "remind_every must be"),
    ],
)
def test_what_can_not_be_is_refused_and_what_was_typed_stays(
    admin_client: Client, change: dict[str, str], said: str
) -> None:
    answer = admin_client.post("/alerts/rules/new", typed(**change))
    assert answer.status_code == 422
    assert said in answer.text
    assert 'value="10m"' in answer.text or "holds_for" in change
    assert not AlertRule.objects.filter(name="Ours").exists()


def test_it_is_switched_off_and_on(admin_client: Client) -> None:
    rule = a_rule()
    assert "is off" in admin_client.post(f"/alerts/rules/{rule.pk}/switch", {"to": "off"}, follow=True).text
    rule.refresh_from_db()
    assert not rule.is_enabled
    assert "is on" in admin_client.post(f"/alerts/rules/{rule.pk}/switch", {"to": "on"}, follow=True).text


def test_only_ones_own_are_removed(admin_client: Client) -> None:
    own, shipped = a_rule("Own"), a_rule("Shipped", key="shipped")
    assert "is removed" in admin_client.post(f"/alerts/rules/{own.pk}/remove", follow=True).text
    assert "switch it off" in admin_client.post(f"/alerts/rules/{shipped.pk}/remove", follow=True).text
    assert "Remove" not in admin_client.get(f"/alerts/rules/{shipped.pk}").text
    assert list(AlertRule.objects.filter(name__in=("Own", "Shipped"))) == [shipped]


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_who_is_no_administrator_reads_and_is_refused(role: str) -> None:
    rule = a_rule()
    client = as_role(role)
    assert "Mail is late" in client.get("/alerts/rules").text
    assert "Administrators change rules" in client.get(f"/alerts/rules/{rule.pk}").text
    assert client.get("/alerts/rules/new").status_code == 403
    for path in ("/alerts/rules/new", f"/alerts/rules/{rule.pk}"):
        assert client.post(path, typed()).status_code == 403
    for verb in ("switch", "remove"):
        assert client.post(f"/alerts/rules/{rule.pk}/{verb}").status_code == 403
    rule.refresh_from_db()
    assert rule.name == "Mail is late"
    assert AuditEvent.objects.filter(is_refused=True).count() == 5


# ── The test ──────────────────────────────────────────────────────────────────────────────────


def test_only_an_administrator_sends_a_test_and_only_to_an_address(admin_client: Client) -> None:
    assert as_role("operator").post("/alerts/test", {"to": "a@example.com"}).status_code == 403
    answer = admin_client.post("/alerts/test", {"to": "nobody"}, follow=True)
    assert answer.redirect_chain == [("/alerts/rules", 302)]
    assert "&#x27;nobody&#x27;" in answer.text
    assert not AuditEvent.objects.filter(action="alert.test", is_refused=False).exists()


def test_the_conversation_of_a_test_mail_is_on_the_page(admin_client: Client) -> None:
    with Mailbox() as box, conf.override(alert_smtp=box.ways):
        answer = admin_client.post("/alerts/test", {"to": "ops@example.com"})
    assert answer.status_code == 200
    assert "RCPT TO:&lt;ops@example.com&gt;" in answer.text
    assert "250 taken" in answer.text
    assert len(box.mails) == 1
    assert AuditEvent.objects.get(action="alert.test").detail["state"] == "sent"


def test_a_rule_with_a_search_is_tried_while_it_is_typed(admin_client: Client) -> None:
    RecipientDomain.objects.create(name="a.test", n_deferred=7)
    asked = {"condition": "search", "query": "state:deferred domain:a.test", "threshold": "6"}
    said = admin_client.get("/alerts/rules/try", asked).text
    assert "It would hold now" in said
    assert "7 deliveries match" in said
    assert "It would not hold now" in admin_client.get("/alerts/rules/try", {**asked, "threshold": "7"}).text
    wrong = admin_client.get("/alerts/rules/try", {**asked, "query": "state:deferred sa&le"}).text
    assert "<mark>sa&amp;le</mark>" in wrong
    assert as_role("operator").get("/alerts/rules/try", asked).status_code == 403
    made = admin_client.post("/alerts/rules/new", typed(**asked), follow=True)
    assert "Ours: kept." in made.text
    row = AlertRule.objects.get()
    assert (row.condition, row.query, row.threshold) == ("search", asked["query"], 6)
    refused = admin_client.post("/alerts/rules/new", typed(**{**asked, "name": "Other", "query": "sale"}))
    assert refused.status_code == 422
    assert "compared with the text of every mail" in refused.text
