"""The board's pages: each is drawn, each number leads to its list, hostile text stays text."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.http import QueryDict
from django.test import Client

from dashboard.filters import page_of
from dashboard.snapshot import detail
from queueapp import stats
from tests.dashboard.rows import HOSTILE, a_delivery, a_domain, a_site, now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def test_it_works(admin_client: Client) -> None:
    a_delivery(state="deferred", last_class="mailbox_full", last_text="Full")
    site = a_site()
    for path in ("/board", "/board?view=shape", "/domains/example.com"):
        assert "example.com" in admin_client.get(path).text
    for path in ("/board?by=site&state=all", f"/sites/{site.pk}"):
        assert "mx.example" in admin_client.get(path).text
    [row] = admin_client.get("/board/rows").json()["rows"]
    assert (row["cause"], row["n_open"]) == ("The recipient's mailbox is full.", 1)
    assert row["suspend_url"] == "/domains/example.com/suspend"


def test_empty_boards_teach(admin_client: Client) -> None:
    assert "manage.py demo" in admin_client.get("/board").text
    assert "No domain matches." in admin_client.get("/board?q=nothing").text
    assert "State is dead." in admin_client.get("/board?state=dead").text


def test_what_can_not_be_is_said_in_the_page(admin_client: Client) -> None:
    answer = admin_client.get("/board?order=colour")
    assert answer.status_code == 400
    assert "There is no order" in answer.text
    assert admin_client.get("/board/rows?cursor=x").status_code == 400


def test_the_next_page_keeps_what_was_asked(admin_client: Client) -> None:
    for n in range(3):
        a_domain(f"d{n}.test", n_queued=n + 1)
    first = admin_client.get("/board?order=name&limit=2&q=test")
    url = urlsplit(first.context["next_url"])
    assert {"order", "limit", "q", "cursor"} <= parse_qs(url.query).keys()
    assert "d2.test" in admin_client.get(first.context["next_url"]).text


def test_each_number_of_a_page_leads_to_what_it_counts() -> None:
    at = now()
    for minutes in (0, 7, 7, 90, 2000):
        a_delivery(state="deferred", accepted_at=at - timedelta(minutes=minutes))
    a_delivery(state="bounced")
    found = detail.domain("example.com", at)
    assert found is not None
    for each in (*found["depth"], *found["shape"]):
        page = page_of(QueryDict(urlsplit(each["url"]).query), at)
        assert len(page.items) == each["n"], each


def test_hostile_text_stays_text(admin_client: Client) -> None:
    site = a_site(
        HOSTILE, backoff_class="busy", backoff_reply=HOSTILE, backoff_until=now() + timedelta(hours=1)
    )
    a_domain(HOSTILE, n_deferred=1, site=site, suspended_reason=HOSTILE, suspended_at=now())
    a_delivery(domain="b.test", state="deferred", last_class="other", last_text=HOSTILE, recipient=HOSTILE)
    for path in (
        "/board",
        "/board?view=shape",
        "/board?by=site",
        "/domains/b.test",
        f"/sites/{site.pk}",
        "/",
    ):
        answer = admin_client.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text


def test_a_chart_has_its_figures(admin_client: Client) -> None:
    row = a_domain("a.test")
    stats.record(stats.Tally({(row.pk, "delivered"): 3, (row.pk, "expired"): 1}), now())
    for span, n in (("hour", 60), ("day", 96), ("week", 84), ("month", 30)):
        found = admin_client.get(f"/history?span={span}&scope={row.pk}").json()
        assert found["sums"] == {"accepted": 0, "delivered": 3, "deferred": 0, "bounced": 1}
        assert n <= len(found["delivered"]) <= n + 1
    assert admin_client.get("/history?span=year").status_code == 400
    assert admin_client.get("/history?scope=x").status_code == 400
    assert admin_client.get(f"/history?scope={'9' * 30}").status_code == 400


def test_the_overview_tells_when_the_queue_is_empty(admin_client: Client) -> None:
    page = admin_client.get("/").text
    assert "Nothing waits to be delivered." in page
    assert "none open" in page
    for span in ("Hour", "Day", "Week", "Month"):
        assert f">{span}</button>" in page
