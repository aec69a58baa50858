"""What every page is told of alerts: bounded, worst first, and one for a cause."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dashboard.snapshot import alerts, build
from queueapp.models import Listing
from tests.dashboard.alerts import a_group, an_alert, an_old_alert
from tests.dashboard.rows import now

pytestmark = pytest.mark.django_db


def test_it_works() -> None:
    made = an_alert("Mail is late")
    an_alert("Just seen", state="pending", fired_at=None)
    an_old_alert()
    told = alerts.live()
    assert [each["title"] for each in told] == ["Mail is late"]
    assert told[0] == {
        "id": made.pk, "key": f"alert-{made.pk}", "severity": "critical",
        "condition": "oldest_due", "title": "Mail is late", "told": "Mail is late",
        "since": made.since, "state": "firing", "is_quiet": False,
        "link": f"/alerts/{made.pk}",
    }  # fmt: skip


def test_what_nobody_looks_after_comes_first_then_the_worst_then_the_newest() -> None:
    an_alert("seen to", state="acknowledged")
    an_alert("silenced", muted_by="silence:3")
    an_alert("warning", severity="warning")
    an_alert("older", fired_at=now() - timedelta(hours=1))
    an_alert("newer")
    names = [each["title"] for each in alerts.live()]
    assert names[:3] == ["newer", "older", "warning"]
    assert [each["is_quiet"] for each in alerts.live()] == [False] * 3 + [True] * 2


def test_five_hundred_domains_with_one_cause_count_once() -> None:
    group = a_group()
    for n in range(30):
        an_alert(f"domain {n}", group=group)
    an_alert("alone", severity="warning")
    an_alert("quiet", state="acknowledged")
    assert alerts.counts() == {"firing": 2, "critical": 1, "quiet": 1}
    told = alerts.live()
    assert len(told) == alerts.MOST
    assert {each["told"] for each in told} == {group.title}


def test_the_strip_is_for_what_is_critical() -> None:
    assert build()["strip"] == []
    group = a_group()
    for n in range(3):
        an_alert(f"domain {n}", group=group)
    an_alert("a warning", severity="warning")
    an_alert("seen to", state="acknowledged")
    found = build()
    assert [row["told"] for row in found["strip"]] == [group.title]
    assert found["strip"][0]["link"].startswith("/alerts/")


def test_the_strip_is_short_and_tells_how_many_more() -> None:
    for n in range(6):
        an_alert(f"alert {n}")
    rows = build()["strip"]
    assert len(rows) == 4
    assert rows[-1]["told"] == "3 more critical alerts"
    assert rows[-1]["link"] == "/alerts"


def a_listing(**values: object) -> Listing:
    defaults: dict[str, object] = {
        "target": "192.0.2.1", "list_name": "spamhaus-zen", "kind": "ip4", "state": "listed",
        "is_confirmed": True, "since": now(), "severity": "danger",
    }  # fmt: skip
    return Listing.objects.create(**{**defaults, **values})


def test_a_listing_is_in_the_strip_with_the_way_off() -> None:
    made = a_listing()
    a_listing(target="192.0.2.2", severity="warning")
    (row,) = build()["strip"]
    assert row["told"].startswith("192.0.2.1 is on ")
    assert row["told"].endswith(", and 1 more listing")
    assert (row["word"], row["link"]) == ("The way off", f"/blocklists/{made.pk}")


def test_a_listing_is_told_once() -> None:
    a_listing()
    an_alert("192.0.2.1 is listed", condition="listing")
    assert [row["told"] for row in build()["strip"]] == ["192.0.2.1 is listed"]


def test_a_list_that_receivers_name_is_told_as_that() -> None:
    a_listing(state="clean", is_confirmed=False, severity="", named_at=now(), named_since=now(), n_named=3)
    (row,) = build()["strip"]
    assert "is refused by receivers, who name" in row["told"]


def test_a_listing_that_hardly_anybody_looks_at_is_no_red_strip() -> None:
    a_listing(severity="info")
    assert build()["strip"] == []
