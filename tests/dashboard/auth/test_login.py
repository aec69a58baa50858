from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db

PASSWORD = "a-long-enough-one"


@pytest.fixture(autouse=True)
def _user(db: None) -> None:
    User.objects.create_user("ada", password=PASSWORD)


def log_in(client: Client, password: str = PASSWORD, **more: str) -> tuple[int, str, str]:
    answer = client.post("/login", {"username": "ada", "password": password, **more})
    return answer.status_code, answer.get("Location", ""), answer.text


def test_it_works(client: Client) -> None:
    assert log_in(client)[:2] == (302, "/")
    assert client.get("/").status_code == 200


def test_it_goes_on_where_the_reader_wanted(client: Client) -> None:
    assert client.get("/deliveries?q=a").headers["Location"] == "/login?next=/deliveries%3Fq%3Da"
    assert log_in(client, next="/deliveries?q=a")[1] == "/deliveries?q=a"


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/" + "a" * 3000]
)
def test_it_never_sends_the_reader_elsewhere(client: Client, url: str) -> None:
    assert log_in(client, next=url)[1] == "/"


def test_it_says_what_was_wrong(client: Client) -> None:
    status, _, page = log_in(client, "wrong")
    assert status == 200
    assert 'role="alert"' in page
    assert "match an account" in page
    assert 'value="ada"' in page


def test_it_locks_out_who_guesses(client: Client) -> None:
    answers = [log_in(client, f"guess {n}") for n in range(5)]
    assert answers[-1][0] == 429
    assert "Too many failed attempts" in answers[-1][2]
    assert log_in(client)[0] == 429


def test_it_locks_nobody_else_out(client: Client) -> None:
    for n in range(6):
        log_in(client, f"guess {n}")
    assert log_in(Client(REMOTE_ADDR="127.0.0.9"))[0] == 302


def test_it_logs_out_by_post_only(client: Client) -> None:
    log_in(client)
    assert client.get("/logout").status_code == 405
    assert client.get("/").status_code == 200
    assert client.post("/logout")["Location"] == "/login"
    assert client.get("/").status_code == 302


def test_it_needs_no_second_log_in(client: Client) -> None:
    log_in(client)
    assert client.get("/login")["Location"] == "/"
