from __future__ import annotations

import pytest
from django.test import Client

from tests.dashboard.rows import HOSTILE, a_delivery, a_message

pytestmark = pytest.mark.django_db


def test_it_works(admin_client: Client) -> None:
    a_delivery(
        a_message(subject="Invoice 7"), state="deferred", last_class="busy", last_code=421, n_attempts=3
    )
    page = admin_client.get("/deliveries").text
    for text in ("b@example.com", "Invoice 7", "deferred", "overloaded", "421"):
        assert text in page
    assert "<strong>1</strong> delivery" in page


def test_it_shows_what_was_searched_for(admin_client: Client) -> None:
    a_delivery(recipient="queued@example.com")
    a_delivery(recipient="late@example.com", state="deferred")
    page = admin_client.get("/deliveries", {"q": "state:deferred"}).text
    assert "late@example.com" in page
    assert "queued@example.com" not in page
    assert 'value="state:deferred"' in page


def test_it_shows_a_mistake_where_it_is(admin_client: Client) -> None:
    answer = admin_client.get("/deliveries", {"q": "domain:a.example state:nonsense"})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "nonsense</mark>" in answer.text


def test_it_turns_pages_without_losing_the_search(admin_client: Client) -> None:
    message = a_message()
    for n in range(5):
        a_delivery(message, recipient=f"r{n}@example.com")
    first = admin_client.get("/deliveries", {"q": "state:queued", "limit": "3"}).text
    assert "r4@example.com" in first
    assert "r1@example.com" not in first
    older = first.split('rel="next"')[0].rpartition('href="')[2].split('"')[0].replace("&amp;", "&")
    second = admin_client.get(older).text
    assert "r1@example.com" in second
    assert "r4@example.com" not in second
    assert 'value="state:queued"' in second


def test_it_says_what_was_looked_for_when_nothing_matches(admin_client: Client) -> None:
    page = admin_client.get("/deliveries", {"q": "state:held"}).text
    assert "No delivery matches" in page
    assert "<code>state:held</code>" in page


def test_it_explains_an_empty_queue(admin_client: Client) -> None:
    assert "No deliveries yet" in admin_client.get("/deliveries").text


def test_it_answers_htmx_with_the_results_alone(admin_client: Client) -> None:
    a_delivery()
    answer = admin_client.get("/deliveries", headers={"HX-Request": "true"})
    assert "<html" not in answer.text
    assert "b@example.com" in answer.text
    assert answer["Vary"].startswith("HX-Request")


@pytest.mark.parametrize(
    ("name", "value"), [("limit", "0"), ("limit", "x"), ("cursor", "!!"), ("order", "color")]
)
def test_it_says_which_parameter_is_wrong(admin_client: Client, name: str, value: str) -> None:
    answer = admin_client.get("/deliveries", {name: value})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


def test_it_escapes_what_strangers_write(admin_client: Client) -> None:
    a_delivery(
        a_message(subject=HOSTILE, sender=HOSTILE), recipient=HOSTILE, last_text=HOSTILE, state="deferred"
    )
    for q in ("", HOSTILE, f'subject:"{HOSTILE}'):
        page = admin_client.get("/deliveries", {"q": q}).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
