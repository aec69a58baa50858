from __future__ import annotations

import json

import pytest
from django.test import Client

from queueapp import conf
from queueapp.models import RecipientDomain
from tests.dashboard.rows import HOSTILE, a_delivery, a_domain, a_runner, an_attempt, now

pytestmark = pytest.mark.django_db


def test_it_works(admin_client: Client) -> None:
    a_runner(n_sessions=7)
    delivery = a_delivery(state="deferred", last_class="greylisted", last_code=450, last_text="Come back")
    an_attempt(delivery)
    page = admin_client.get("/").text
    assert "1 delivery waits for its next attempt." in page
    assert 'data-depth="deferred">1<' in page
    assert "example.com" in page
    assert "450 Come back" in page
    assert "The receiver does not know us yet" in page
    assert "mail1" in page
    assert 'data-when="empty" hidden' in page


def test_it_teaches_where_nothing_was_sent_yet(admin_client: Client) -> None:
    run_file = conf.current().run_file
    run_file.write_text(json.dumps({"http": "http://127.0.0.1:8123", "smtp": "127.0.0.1:2599"}))
    try:
        page = admin_client.get("/").text
    finally:
        run_file.unlink()
    assert "Send the first mail" in page
    assert 'data-when="filled" class="stack" hidden' in page
    assert "http://127.0.0.1:8123/api/v1/messages" in page
    assert "--server 127.0.0.1:2599" in page


def test_it_links_each_number_to_its_list(admin_client: Client) -> None:
    page = admin_client.get("/").text
    for state in ("queued", "sending", "deferred", "held", "delivered", "bounced", "expired"):
        assert f'href="/deliveries?q=state%3A{state}"' in page


def test_it_escapes_what_strangers_write(admin_client: Client) -> None:
    a_domain(name=HOSTILE[:200], n_deferred=1)
    delivery = a_delivery(state="deferred", recipient=HOSTILE, last_class="other", last_text=HOSTILE)
    an_attempt(delivery, text=HOSTILE, host=HOSTILE)
    page = admin_client.get("/").text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_it_puts_chart_data_where_no_text_can_end_the_script(admin_client: Client) -> None:
    page = admin_client.get("/").text
    data = page.split('<script id="hour-data" type="application/json">')[1].split("</script>")[0]
    assert len(json.loads(data)["delivered"]) == 60


def test_it_says_when_no_runner_is_at_work(admin_client: Client) -> None:
    from datetime import timedelta

    row = a_delivery(next_attempt_at=now() - timedelta(minutes=2))
    RecipientDomain.objects.update(due_at=row.next_attempt_at)
    page = admin_client.get("/").text
    assert "Nothing is being delivered: no queue runner is at work." in page


def test_it_has_no_inline_script_or_style(admin_client: Client) -> None:
    an_attempt(a_delivery())
    page = admin_client.get("/").text
    assert "<style" not in page
    assert ' style="' not in page
    assert " onclick" not in page
    assert "hx-on" not in page
