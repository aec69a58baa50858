"""Silences: an end, a look at what they cover before they count, and lifting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from queueapp.models import AuditEvent, Silence
from tests.dashboard.alerts import a_rule, a_silence, an_alert
from tests.dashboard.people import as_role

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
GOOD = {"only": "*.example.com", "for": "4h", "reason": "New router"}


def test_it_works() -> None:
    client = as_role("operator", name="ada")
    answer = client.post("/silences", GOOD, follow=True)
    assert "Silent until" in answer.text
    made = Silence.objects.get()
    assert (made.only, made.reason, made.made_by, made.rule) == (
        "*.example.com",
        "New router",
        "user:ada",
        None,
    )
    left = made.until - timezone.now()
    assert timedelta(hours=3, minutes=55) < left <= timedelta(hours=4)
    assert "New router" in client.get("/alerts").text


def test_the_preview_shows_what_it_covers_and_makes_nothing() -> None:
    an_alert("Late at a.example.com", key="domain:a.example.com", label="a.example.com")
    an_alert("Late at other.test", key="domain:other.test", label="other.test")
    text = as_role("operator").get("/silences", {**GOOD, "preview": "yes"}).text
    assert "It covers 1 of what holds now" in text
    assert "Late at a.example.com" in text
    assert "Late at other.test" not in text
    assert 'name="only" value="*.example.com"' in text
    assert not Silence.objects.exists()


def test_one_that_covers_everything_says_so() -> None:
    text = as_role("operator").get("/silences", {"for": "1h", "reason": "x", "preview": "yes"}).text
    assert "It covers every alert" in text


def test_it_takes_a_rule_and_a_time() -> None:
    rule, until = a_rule(), (datetime.now(UTC) + timedelta(days=2)).replace(second=0, microsecond=0)
    asked = {"rule": str(rule.pk), "severity": "critical", "reason": "x", "until": f"{until:%Y-%m-%dT%H:%M}"}
    as_role("operator").post("/silences", asked)
    made = Silence.objects.get()
    assert (made.rule, made.severity, made.until) == (rule, "critical", until)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reason": ""}, "a reason is needed"),
        ({"for": "9y"}, "say how long"),
        ({"for": "", "until": "soon"}, "is not a time such as"),
        ({"until": "2020-01-01T00:00"}, "not a time to come"),
        ({"until": "2020-13-45T00:00"}, "is not a time such as"),
        ({"severity": "dreadful"}, "dreadful"),
        ({"rule": "x"}, "is not a number"),
        ({"rule": "99"}, "no alert rule 99"),
        ({"until": "2099-01-01T00:00"}, "90 days at most"),
    ],
)
def test_what_can_not_be_is_refused_and_what_was_typed_stays(change: dict[str, str], said: str) -> None:
    client = as_role("operator")
    for answer in (
        client.post("/silences", {**GOOD, **change}),
        client.get("/silences", {**GOOD, **change, "preview": "yes"}),
    ):
        assert answer.status_code == 422
        assert said in answer.text
        assert "*.example.com" in answer.text
    assert not Silence.objects.exists()


def test_it_is_lifted_once() -> None:
    made = a_silence()
    client = as_role("operator", name="ada")
    assert "Lifted" in client.post(f"/silences/{made.pk}/lift", follow=True).text
    made.refresh_from_db()
    assert made.lifted_by == "user:ada"
    text = client.post(f"/silences/{made.pk}/lift", follow=True).text
    assert "is over already" in text
    assert "lifted by ada" in text
    assert client.post("/silences/99/lift").status_code == 404


def test_a_viewer_reads_and_is_refused() -> None:
    made = a_silence()
    client = as_role()
    text = client.get("/silences").text
    assert "New router" in text
    assert "Operators make silences" in text
    assert client.post("/silences", GOOD).status_code == 403
    assert client.post(f"/silences/{made.pk}/lift").status_code == 403
    assert Silence.objects.get().lifted_at is None
    assert AuditEvent.objects.filter(is_refused=True).count() == 2
