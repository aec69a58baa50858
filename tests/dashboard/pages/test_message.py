from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from tests.dashboard.rows import HOSTILE, SOURCE, a_delivery, a_message, a_runner, an_attempt, now

pytestmark = pytest.mark.django_db

HTML = (
    b"Subject: Hello\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b"<p>Hello</p><script>alert(1)</script>\r\n"
)


def test_it_works(admin_client: Client) -> None:
    message = a_message(message_id="1@example.org", protocol="ESMTP", helo="app.example.org", login="shop")
    runner = a_runner()
    delivery = a_delivery(message, state="deferred", n_attempts=1, last_class="greylisted")
    an_attempt(delivery, runner_id=runner.pk, stage="rcpt", took_ms=1234, rule="code:4.7.1")
    page = admin_client.get(f"/messages/{message.pk}").text
    for text in (
        "Hello",
        "a@example.org",
        "b@example.com",
        "1@example.org",
        "smtp (ESMTP) from 127.0.0.1",
        "as shop",
    ):
        assert text in page
    for text in ("450 4.7.1 Greylisted", "mx1.example.com [198.51.100.7]", "from 192.0.2.25", "TLSv1.3"):
        assert text in page
    for text in (
        "asked us to come back later",
        "Nothing to do",
        "runner on mail1 (pid 4711)",
        "1,234 ms",
        "rule code:4.7.1",
    ):
        assert text in page
    assert "Good morning" in page


def test_it_shows_the_newest_attempt_first(admin_client: Client) -> None:
    delivery = a_delivery(n_attempts=2)
    an_attempt(delivery, at=now() - timedelta(minutes=5), text="the first")
    an_attempt(delivery, text="the second")
    page = admin_client.get(f"/messages/{delivery.message_id}").text
    assert page.index("the second") < page.index("the first")


def test_it_says_that_a_delivery_may_come_twice(admin_client: Client) -> None:
    delivery = a_delivery(is_ambiguous=True)
    assert "may arrive twice" in admin_client.get(f"/messages/{delivery.message_id}").text


def test_it_says_how_many_recipients_it_left_out(admin_client: Client) -> None:
    message = a_message(n_recipients=60, message_id='1"2@example.org')
    for n in range(60):
        a_delivery(message, recipient=f"r{n}@example.com")
    page = admin_client.get(f"/messages/{message.pk}").text
    assert "10 more recipients not shown here" in page
    link = page.split('">See the list')[0].rpartition('href="')[2]
    assert "<strong>60</strong> deliveries" in admin_client.get(link).text
    assert "r49@example.com" in page
    assert "r50@example.com" not in page


def test_it_escapes_what_strangers_write(admin_client: Client) -> None:
    source = b"Subject: x\r\nX-Evil: <script>alert(1)</script>\r\n\r\n<script>alert(2)</script>\r\n"
    message = a_message(
        source, subject=HOSTILE, sender=HOSTILE, helo=HOSTILE, message_id=HOSTILE, tags=[HOSTILE]
    )
    delivery = a_delivery(message, recipient=HOSTILE, hold_reason=HOSTILE, state="held")
    an_attempt(delivery, text=HOSTILE, host=HOSTILE)
    page = admin_client.get(f"/messages/{message.pk}").text
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_it_frames_html_without_any_right(admin_client: Client) -> None:
    message = a_message(HTML)
    page = admin_client.get(f"/messages/{message.pk}").text
    assert f'<iframe class="mail-html" sandbox src="/messages/{message.pk}/html"' in page
    assert "alert(1)" not in page
    answer = admin_client.get(f"/messages/{message.pk}/html")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script" not in policy
    assert "http" not in policy
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "<p>Hello</p>" in answer.text


def test_it_answers_404_where_there_is_no_html(admin_client: Client) -> None:
    assert admin_client.get(f"/messages/{a_message().pk}/html").status_code == 404


def test_it_shows_the_source_as_text_that_cannot_run(admin_client: Client) -> None:
    answer = admin_client.get(f"/messages/{a_message(HTML).pk}/source")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert answer.content == HTML


def test_it_downloads_byte_for_byte(admin_client: Client) -> None:
    source = SOURCE + b"\xff\x00\x80"
    message = a_message(source)
    answer = admin_client.get(f"/messages/{message.pk}/eml")
    assert answer["Content-Type"] == "message/rfc822"
    assert answer["Content-Disposition"] == f'attachment; filename="message-{message.pk}.eml"'
    assert answer.content == source


@pytest.mark.parametrize(
    "source", [b"", b"\x00\xff" * 500, b"no header at all", b"Content-Type: multipart/mixed\r\n\r\n"]
)
def test_it_shows_mail_that_is_none(admin_client: Client, source: bytes) -> None:
    assert admin_client.get(f"/messages/{a_message(source).pk}").status_code == 200


def test_it_refreshes_only_what_may_change(admin_client: Client) -> None:
    delivery = a_delivery()
    part = admin_client.get(f"/messages/{delivery.message_id}", headers={"HX-Request": "true"}).text
    assert part.startswith("<section")
    assert 'hx-trigger="mailweir:changed from:body"' in part


def test_it_stops_asking_once_all_is_final(admin_client: Client) -> None:
    delivery = a_delivery(state="delivered", next_attempt_at=None, finished_at=now())
    assert "hx-get" not in admin_client.get(f"/messages/{delivery.message_id}").text
