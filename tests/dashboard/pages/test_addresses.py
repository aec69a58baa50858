"""What holds for every page."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import URLPattern

from dashboard.pages.urls import urlpatterns

pytestmark = pytest.mark.django_db

OPEN = {"favicon"}
# Forms of an action: shown by GET or nowhere, done by POST.
FORMS = ("people", "keys", "routes", "person-", "-revoke", "silences", "replies")
ACTS = (
    "-suspend", "-resume", "-limits", "-lift", "-retry", "route", "view-save", "view-change", "view-remove",
    "copy-to-sandbox", "send-again", "readdress", "rule", "rule-new", "rule-delete", "effect-delete",
    "effect-release", "-sender",
)  # fmt: skip
PAGES = [pattern for pattern in urlpatterns if isinstance(pattern, URLPattern) and pattern.name not in OPEN]


def address(pattern: URLPattern) -> str:
    path = str(pattern.pattern).replace("<id:pk>", "1").replace("<id:number>", "1")
    return "/" + path.replace("<path:name>", "example.com")


@pytest.mark.parametrize("pattern", PAGES, ids=lambda pattern: str(pattern.name))
def test_it_sends_strangers_to_the_log_in(client: Client, pattern: URLPattern) -> None:
    answer = client.get(address(pattern))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login?next=")


READERS = [
    pattern
    for pattern in PAGES
    if not str(pattern.name).endswith(ACTS) and not any(form in str(pattern.name) for form in FORMS)
]


@pytest.mark.parametrize("pattern", READERS, ids=lambda pattern: str(pattern.name))
def test_what_is_read_changes_nothing_and_what_changes_is_no_link(
    admin_client: Client, pattern: URLPattern
) -> None:
    asked = {"get": admin_client.get, "post": admin_client.post}
    refused = [name for name, ask in asked.items() if ask(address(pattern)).status_code == 405]
    assert len(refused) == 1


@pytest.mark.parametrize("path", ["/", "/deliveries", "/sandbox", "/login", "/nothing-here"])
def test_it_sends_the_strict_policy(admin_client: Client, path: str) -> None:
    policy = admin_client.get(path)["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_it_answers_an_unknown_address_in_its_own_style(admin_client: Client) -> None:
    answer = admin_client.get("/nothing-here")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


@pytest.mark.parametrize("path", ["/messages/", "/sandbox/"])
@pytest.mark.parametrize("number", ["1", "9" * 30])
@pytest.mark.parametrize("view", ["", "/html", "/source", "/eml"])
def test_it_answers_404_for_mail_that_is_not_there(
    admin_client: Client, path: str, number: str, view: str
) -> None:
    assert admin_client.get(path + number + view).status_code == 404


def test_it_shows_no_traceback_when_something_breaks(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashboard import snapshot

    def broken() -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(snapshot, "build", broken)
    admin_client.raise_request_exception = False
    answer = admin_client.get("/")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.text
    assert "secret" not in answer.text


def test_it_explains_a_form_without_its_token() -> None:
    answer = Client(enforce_csrf_checks=True).post("/login", {"username": "a", "password": "b"})
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.text


def test_it_has_an_icon(client: Client) -> None:
    assert client.get("/favicon.ico")["Location"] == "/static/favicon.svg"
