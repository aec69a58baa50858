from __future__ import annotations

from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from django.test import Client

from queueapp.models import AttemptTranscript, Message
from tests.dashboard.people import as_role
from tests.dashboard.rows import HOSTILE, SOURCE, a_delivery, a_message, a_runner, an_attempt, now
from tests.mail.test_pictures import png

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
    for text in ("450 4.7.1 Greylisted", "mx1.example.com [198.51.100.7]", "192.0.2.25", "TLSv1.3"):
        assert text in page
    for text in (
        "asked us to come back later",
        "Nothing to do",
        "mail1 (pid 4711)",
        "1,234 ms",
        "code:4.7.1",
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


def many(n: int = 60) -> Message:
    message = a_message(n_recipients=n)
    states = ("deferred", "delivered")
    for number in range(n):
        a_delivery(message, recipient=f"r{number}@example.com", state=states[number % 2], last_text="Wait")
    return message


def test_it_lists_many_recipients_by_state_and_in_pages(admin_client: Client) -> None:
    message = many()
    page = admin_client.get(f"/messages/{message.pk}").text
    assert "r49@example.com" in page
    assert "r50@example.com" not in page
    more = page.split(' rel="next"')[0].rpartition('href="')[2].removesuffix('"').replace("&amp;", "&")
    second = admin_client.get(more.partition("#")[0]).text
    assert "r50@example.com" in second
    assert "r49@example.com" not in second
    some = admin_client.get(f"/messages/{message.pk}?state=delivered").text
    assert "r1@example.com" in some
    assert "r2@example.com" not in some


def test_it_finds_a_recipient_among_many(admin_client: Client) -> None:
    message = many()
    page = admin_client.get(f"/messages/{message.pk}?to=R41%40").text
    assert "r41@example.com" in page
    assert "r4@example.com" not in page
    assert "No recipient of this message matches" in admin_client.get(f"/messages/{message.pk}?to=zoe").text


def test_it_shows_one_of_many_whole(admin_client: Client) -> None:
    message = many()
    delivery = message.deliveries.get(recipient="r58@example.com")
    an_attempt(delivery, text="Greylisted by us")
    page = admin_client.get(f"/messages/{message.pk}?delivery={delivery.pk}").text
    assert f'id="delivery-{delivery.pk}"' in page
    assert "Greylisted by us" in page
    other = a_delivery()
    assert (
        f'id="delivery-{other.pk}"'
        not in admin_client.get(f"/messages/{message.pk}?delivery={other.pk}").text
    )


@pytest.mark.parametrize(
    "asked", ["state=x", "after=x", "delivery=x", "after=" + "9" * 40, "to=%00", "to=%25"]
)
def test_it_ignores_what_it_does_not_know(admin_client: Client, asked: str) -> None:
    assert admin_client.get(f"/messages/{many(8).pk}?{asked}").status_code == 200


def test_it_asks_the_database_no_more_for_many_recipients(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    message = many(120)
    with django_assert_max_num_queries(14):
        admin_client.get(f"/messages/{message.pk}")


def test_it_shows_what_was_said(admin_client: Client) -> None:
    delivery = a_delivery(n_attempts=8)
    for n in range(8):
        text = f"    0.000 ** connecting\n    0.012 S: 220 hello {n}\n    1.500 C: EHLO <b>us</b>"
        AttemptTranscript.objects.create(attempt=an_attempt(delivery), text=text)
    page = admin_client.get(f"/messages/{delivery.message_id}").text
    assert "220 hello 7" in page
    assert "EHLO &lt;b&gt;us&lt;/b&gt;" in page
    assert page.count('<details class="transcript">') == 5, "older ones are a link"
    assert page.count("/transcript") == 3
    oldest = delivery.attempts.order_by("id")[0].pk
    answer = admin_client.get(f"/attempts/{oldest}/transcript")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "EHLO <b>us</b>" in answer.text


FILES = (
    b"Subject: files\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    b'--b\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename="../a<b>.html"\r\n\r\n'
    b"<script>alert(1)</script>\r\n"
    b"--b\r\nContent-Type: image/svg+xml\r\nContent-Transfer-Encoding: base64\r\n\r\nPHN2Zy8+\r\n--b--\r\n"
)


def test_it_gives_an_attachment_to_save_and_never_to_open(admin_client: Client) -> None:
    message = a_message(FILES)
    page = admin_client.get(f"/messages/{message.pk}").text
    assert "../a&lt;b&gt;.html" in page
    assert "image/svg+xml" in page
    answer = admin_client.get(f"/messages/{message.pk}/attachments/1")
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == 'attachment; filename="_a_b_.html"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert answer.content == b"<script>alert(1)</script>"
    second = admin_client.get(f"/messages/{message.pk}/attachments/2")
    assert second.content == b"<svg/>"
    assert f"message-{message.pk}-part-2" in second["Content-Disposition"]
    for number in (0, 3, 10**17):
        assert admin_client.get(f"/messages/{message.pk}/attachments/{number}").status_code == 404


def test_it_offers_what_can_be_done_and_no_more(admin_client: Client) -> None:
    wanted = {
        "queued": {"hold", "bounce", "delete", "readdress"},
        "deferred": {"retry", "hold", "bounce", "delete", "readdress"},
        "held": {"release", "bounce", "delete", "readdress"},
        "sending": set(),
        "delivered": {"again"},
        "bounced": {"again", "readdress"},
        "expired": {"again", "readdress"},
        "deleted": set(),
    }
    for state, offered in wanted.items():
        delivery = a_delivery(state=state)
        page = admin_client.get(f"/messages/{delivery.message_id}").text
        found = {
            verb for verb in ("retry", "hold", "release", "bounce", "delete") if f'-action="{verb}"' in page
        }
        found |= {verb for verb in ("again", "readdress") if f"/deliveries/{delivery.pk}/{verb}" in page}
        assert found == offered, state


def test_it_offers_a_viewer_nothing_and_shows_no_mail() -> None:
    client = as_role("viewer")
    delivery = a_delivery(state="deferred")
    page = client.get(f"/messages/{delivery.message_id}").text
    assert "b@example.com" in page
    for hidden in ("data-action", "readdress", "Copy to the sandbox", "Good morning"):
        assert hidden not in page
    for route in ("html", "source", "eml", "attachments/1"):
        assert client.get(f"/messages/{delivery.message_id}/{route}").status_code == 403, route


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


def test_pictures_that_the_mail_brings_along_are_in_its_html(admin_client: Client) -> None:
    made = EmailMessage()
    made.set_content('<p>Hi</p><img src="cid:logo@x.test"><img src="https://x.test/spy">', subtype="html")
    made.add_related(png(), "image", "png", cid="<logo@x.test>")
    answer = admin_client.get(f"/messages/{a_message(made.as_bytes()).pk}/html")
    assert 'src="data:image/png;base64,' in answer.text
    assert "cid:" not in answer.text
    assert "img-src data:;" in answer["Content-Security-Policy"]  # and so the other one is not fetched


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
