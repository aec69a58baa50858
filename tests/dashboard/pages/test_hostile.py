"""Every page that shows a mail, with mail that means harm: nothing breaks, nothing is slow."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.test import Client

from queueapp.models import AttemptTranscript, Delivery
from tests.dashboard.rows import HOSTILE, a_delivery, a_domain, a_message, a_runner, an_attempt
from tests.mail.hostile import KINDS, LARGE, SCRIPT

pytestmark = pytest.mark.django_db
SLOWEST = 2.0  # seconds of the processor, whatever else the machine does


def hostile(content: bytes = SCRIPT) -> Delivery:
    """In every place where a stranger can write."""
    runner = a_runner(machine=f"{HOSTILE}:/x"[:255])
    message = a_message(
        content, subject=HOSTILE, sender=HOSTILE, from_header=HOSTILE, helo=HOSTILE, message_id=HOSTILE,
        login=HOSTILE, client=HOSTILE[:64], protocol="<script>", tags=[HOSTILE, "<script>"],
        has_attachment=True,
    )  # fmt: skip
    delivery = a_delivery(
        message, recipient=HOSTILE, state="deferred", n_attempts=1, last_class="policy", last_code=550,
        last_text=HOSTILE, last_host=HOSTILE, hold_reason=HOSTILE,
    )  # fmt: skip
    attempt = an_attempt(
        delivery, text=HOSTILE, host=HOSTILE, address=HOSTILE[:64], source=HOSTILE[:64], tls=HOSTILE[:64],
        rule=HOSTILE[:64], enhanced="<script>", runner_id=runner.pk, reply_class="<script>",
    )  # fmt: skip
    AttemptTranscript.objects.create(
        attempt=attempt, text=f"    0.000 S: 220 {HOSTILE}\n    0.001 C: {HOSTILE}"
    )
    a_domain(f"{HOSTILE}.example"[:255], n_deferred=3)
    return delivery


def quickly(get: Callable[[], HttpResponse]) -> HttpResponse:
    began = time.process_time()
    answer = get()
    assert time.process_time() - began < SLOWEST
    return answer


@pytest.mark.once
@pytest.mark.parametrize("kind", KINDS)
def test_it_shows_mail_that_means_harm(admin_client: Client, kind: str) -> None:
    message = a_message(KINDS[kind]())
    page = quickly(lambda: admin_client.get(f"/messages/{message.pk}"))
    assert page.status_code == 200
    assert b"<script>" not in page.content.replace(b"<script src", b"")
    assert b"<img" not in page.content.replace(b'<img src="/static', b"")
    assert len(page.content) < 4_000_000
    if kind in LARGE and kind != "50 MB attached":
        assert "Not shown here" in page.text
    for route in ("html", "source", "attachments/1"):
        answer = quickly(lambda route=route: admin_client.get(f"/messages/{message.pk}/{route}"))  # type: ignore[misc]
        assert answer.status_code in (200, 404)
        if answer.status_code == 200:
            assert answer["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in answer["Content-Security-Policy"]
            assert "default-src 'none'" in answer["Content-Security-Policy"]


@pytest.mark.once
@pytest.mark.parametrize("kind", ["10,000 headers", "nested", "30 MB of HTML", "100,000 parts"])
def test_it_says_what_it_cuts(admin_client: Client, kind: str) -> None:
    page = admin_client.get(f"/messages/{a_message(KINDS[kind]()).pk}").text
    said = page.split("Not shown here: ")[1].split(" Download it")[0]
    words = {
        "10,000 headers": "headers",
        "nested": "levels",
        "30 MB of HTML": "HTML after",
        "100,000 parts": "parts",
    }
    assert words[kind] in said


@pytest.mark.parametrize(
    "path",
    [
        "/", "/deliveries", "/deliveries?q=%22script%22", "/deliveries?q=%3Cscript%3E%22%3E",
        "/messages/{message}", "/messages/{message}?delivery={pk}", "/attempts/{attempt}/transcript",
        "/sandbox", "/sandbox?q=%3Cscript%3E",
    ],
)  # fmt: skip
def test_it_escapes_hostile_words_everywhere(admin_client: Client, path: str) -> None:
    delivery = hostile(KINDS["everything"]())
    attempt = delivery.attempts.get()
    found = admin_client.get(path.format(message=delivery.message_id, pk=delivery.pk, attempt=attempt.pk))
    assert found.status_code in (200, 400)
    if found["Content-Type"].startswith("text/html"):
        assert b"<script>alert" not in found.content
        assert b"<script>document" not in found.content
        assert b"<img src=x" not in found.content
        assert b'onerror="' not in found.content.replace(b"&quot;", b"")


def test_it_keeps_hostile_words_inside_json_in_pages(admin_client: Client) -> None:
    hostile()
    for path in ("/", "/deliveries"):
        page = admin_client.get(path).text
        for block in page.split('<script type="application/json"')[1:]:
            assert "</script" not in block.partition("</script>")[0].replace("\\u003C", "")
            assert "<" not in block.partition(">")[2].partition("</script>")[0]


def test_the_api_gives_hostile_words_as_json_only(admin_client: Client) -> None:
    delivery = hostile(KINDS["everything"]())
    for path in (f"messages/{delivery.message_id}", f"deliveries/{delivery.pk}", "deliveries", "domains"):
        answer = admin_client.get(f"/api/v1/{path}")
        assert answer.status_code == 200, path
        assert answer["Content-Type"].startswith("application/json")
        assert answer["X-Content-Type-Options"] == "nosniff"
    found = admin_client.get(f"/api/v1/messages/{delivery.message_id}").json()
    assert [each["n"] for each in found["attachments"]] == [1, 2, 3]
    got = admin_client.get(f"/api/v1/messages/{delivery.message_id}/attachments/1")
    assert got["Content-Type"] == "application/octet-stream"
    assert got["Content-Disposition"].startswith('attachment; filename="_script_')
    assert got.content == SCRIPT
    assert admin_client.get(f"/api/v1/messages/{delivery.message_id}/attachments/4").status_code == 404
    said = admin_client.get(f"/api/v1/deliveries/{delivery.pk}").json()["attempts"][0]["transcript"]
    assert said.startswith("    0.000 S: 220 ")
