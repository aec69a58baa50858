"""Alerts in the browser: what holds, what was, who was told; acknowledging by those who may."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from dashboard.pages.alert_words import amount
from queueapp import conf
from queueapp.models import Alert, AuditEvent
from queueapp.watch import pulse
from tests.dashboard.alerts import a_group, a_notice, a_silence, an_alert, an_old_alert
from tests.dashboard.people import as_role
from tests.dashboard.rows import HOSTILE, now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
DETAIL = {
    "causes": [["Receivers are slow", 1204]],
    "sites": [["mx.example", 900]],
    "reply": "421 4.7.0 later",
    "advice": "Lower the rate.",
    "query": "state:deferred",
}


def test_it_works() -> None:
    pulse.beat()
    made = an_alert(detail=DETAIL)
    text = as_role().get("/alerts").text
    for part in (
        "Mail is late", "critical", "21 min", "against 10 min", "Receivers are slow", "1,204",
        "421 4.7.0 later", "Lower the rate.", f'href="/alerts/{made.pk}"', "state%3Adeferred",
    ):  # fmt: skip
        assert part in text, part
    assert "Acknowledge" not in text, "a viewer reads"


def test_an_empty_list_teaches() -> None:
    with conf.override(alert_to=()):
        text = as_role().get("/alerts").text
    assert "MAILWEIR_ALERT_TO=oncall@example.com" in text
    assert "Nothing is wrong" in text
    assert "Nobody looks." in text
    pulse.beat()
    with conf.override(alert_to=("ops@example.com",)):
        text = as_role(name="ada").get("/alerts").text
    assert "ops@example.com" in text
    assert "No mail is sent" not in text
    assert "Nobody looks." not in text


def test_one_cause_is_one_entry() -> None:
    group = a_group()
    for n in range(8):
        an_alert(f"Late {n}", group=group, label=f"{n}.example", key=f"domain:{n}.example")
    text = as_role("operator").get("/alerts").text
    assert text.count('<article class="panel alert-group') == 1
    assert "14 domains, one cause" in text
    assert "and 3 more" in text
    assert f'action="/alerts/groups/{group.pk}/acknowledge"' in text


def test_what_was_is_there_with_how_long_it_lasted_page_by_page() -> None:
    for n in range(52):
        an_old_alert(
            f"Past {n}", since=now() - timedelta(hours=2), resolved_at=now() - timedelta(minutes=n % 7)
        )
    client, seen = as_role(), set()
    page = client.get("/alerts")
    while True:
        seen |= {row["alert"].title for row in page.context["history"]}
        if not page.context["before"]:
            break
        page = client.get(f"/alerts?before={page.context['before']}")
    assert len(seen) == 52
    assert "1 h 5" in client.get("/alerts").text


def test_who_was_told_by_what_and_with_which_result() -> None:
    a_notice()
    a_notice(
        channel="webhook", to="https://hooks.example", state="failed", error="timed out", sent_at=None, via=""
    )
    text = as_role().get("/alerts").text
    for part in (
        "oncall@example.com",
        "mx.example.com",
        "sent",
        "https://hooks.example",
        "failed",
        "timed out",
    ):
        assert part in text


def test_one_has_its_timeline_in_order() -> None:
    group = a_group()
    made = an_alert(
        group=group, detail=DETAIL, acknowledged_at=now(), acknowledged_by="user:ada", note="I call them",
        state="acknowledged",
    )  # fmt: skip
    a_notice(group, made_at=now() - timedelta(minutes=3), talk="> EHLO us\n< 250 hi")
    text = as_role("operator").get(f"/alerts/{made.pk}").text
    parts = ["Seen for the first time", "it fires", "oncall@example.com: told", "Acknowledged by ada"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    for part in ("I call them", "&gt; EHLO us", "mx.example", "ada looks after it"):
        assert part in text
    assert as_role(name="vic").get("/alerts/999").status_code == 404


def test_it_says_why_nobody_is_told() -> None:
    made = an_alert(muted_by="silence:4")
    client = as_role()
    assert "quiet: silenced by silence 4" in client.get("/alerts").text
    assert "quiet: silenced by silence 4" in client.get(f"/alerts/{made.pk}").text


# ── Acknowledging ─────────────────────────────────────────────────────────────────────────────


def test_an_operator_acknowledges_with_a_note() -> None:
    made = an_alert()
    client = as_role("operator", name="ada")
    answer = client.post(f"/alerts/{made.pk}/acknowledge", {"note": "on it", "back": "alert"}, follow=True)
    assert answer.redirect_chain == [(f"/alerts/{made.pk}", 302)]
    assert "Acknowledged: Mail is late" in answer.text
    made.refresh_from_db()
    assert (made.state, made.acknowledged_by, made.note) == ("acknowledged", "user:ada", "on it")
    again = client.post(f"/alerts/{made.pk}/acknowledge", follow=True)
    assert "has acknowledged" in again.text


def test_a_whole_cause_is_acknowledged_at_once() -> None:
    group = a_group()
    for n in range(7):
        an_alert(f"Late {n}", group=group)
    other = an_alert("Another")
    client = as_role("operator")
    assert (
        "7 alerts" in client.post(f"/alerts/groups/{group.pk}/acknowledge", {"note": "x"}, follow=True).text
    )
    assert set(Alert.objects.filter(group=group).values_list("state", "note")) == {("acknowledged", "x")}
    other.refresh_from_db()
    assert other.state == "firing"
    event = AuditEvent.objects.get(action="alert.acknowledge")
    assert (event.n, event.target) == (7, group.title)
    assert "left to acknowledge" in client.post(f"/alerts/groups/{group.pk}/acknowledge", follow=True).text
    assert client.post("/alerts/groups/99/acknowledge").status_code == 404


def test_a_viewer_is_refused_and_it_is_written_down() -> None:
    made = an_alert(group=a_group())
    client = as_role()
    for path in (f"/alerts/{made.pk}/acknowledge", f"/alerts/groups/{made.group_id}/acknowledge"):
        assert client.post(path).status_code == 403
    made.refresh_from_db()
    assert made.state == "firing"
    assert AuditEvent.objects.filter(is_refused=True, actor="user:vera").count() == 2


def test_hostile_texts_are_text() -> None:
    group = a_group(HOSTILE[:200])
    made = an_alert(
        HOSTILE, group=group, label=HOSTILE, key=f"domain:{HOSTILE}", note=HOSTILE,
        detail={
            "causes": [[HOSTILE, 1]], "sites": [[HOSTILE, 1]],
            "reply": HOSTILE, "advice": HOSTILE, "query": HOSTILE,
        },
    )  # fmt: skip
    a_notice(group, to=HOSTILE, subject=HOSTILE, error=HOSTILE, talk=HOSTILE, via=HOSTILE)
    a_silence(reason=HOSTILE, only=HOSTILE)
    client = as_role("operator")
    for path in ("/alerts", f"/alerts/{made.pk}", "/silences", "/"):
        text = client.get(path).text
        assert "<script>alert(1)" not in text, path
        assert "<img src=x" not in text, path


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (1204, "deliveries", "1,204 deliveries"), (1, "deliveries", "1 delivery"), (43.4, "percent", "43 %"),
        (11100, "seconds", "3 h 5 min"), (None, "seconds", ""), (12, "per_minute", "12 a minute"),
        (1, "days", "1 day"), (2_000_000_000, "bytes", "2.0 GB"), (3, "", "3"), (3, "lists", "3 lists"),
    ],
)  # fmt: skip
def test_amounts_have_their_unit(value: float | None, unit: str, words: str) -> None:
    assert amount(value, unit) == words


# ── The frame of every page ───────────────────────────────────────────────────────────────────


def test_health_is_in_the_navigation_with_the_pages_that_there_are(admin_client: Client) -> None:
    text = admin_client.get("/alerts").text
    assert 'data-go="h" aria-current="page"' in text
    tabs = text.partition('<nav class="health"')[2].partition("</nav>")[0]
    assert 'href="/alerts" aria-current="page"' in tabs
    assert tabs.count("aria-current") == 1


def test_a_page_that_is_not_built_in_is_no_tab(monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.templatetags import health

    monkeypatch.setattr(health, "TABS", (health.Tab("not-there", "Nothing", "bell", ("no",)), *health.TABS))
    assert "Nothing" not in [each["tab"].title for each in health.health_tabs("alerts")]
    assert health.health_url().startswith("/")


def test_the_overview_tells_what_is_critical_in_red(admin_client: Client) -> None:
    assert 'id="alert-strip" aria-label="Alerts" hidden' in admin_client.get("/").text
    an_alert("Nothing is delivered")
    text = admin_client.get("/").text
    assert 'id="alert-strip" aria-label="Alerts">' in text
    assert "Nothing is delivered" in text
    with conf.override(alert_to=()):
        assert "MAILWEIR_ALERT_TO" in admin_client.get("/").text
