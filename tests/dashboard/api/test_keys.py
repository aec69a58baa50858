from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from dashboard.api import keys
from queueapp.access.actions import revoke_api_key
from queueapp.models import ApiKey
from tests.access.by import by
from tests.dashboard.api.asking import is_error, key, with_key

pytestmark = pytest.mark.django_db
URL = "/api/v1/summary"


def test_it_lets_a_key_with_the_scope_in() -> None:
    assert with_key(key("read")).get(URL).status_code == 200


@pytest.mark.parametrize("scope", ["admin", "operate"])
def test_it_lets_higher_scopes_read(scope: str) -> None:
    assert with_key(key(scope)).get(URL).status_code == 200


def test_it_refuses_who_says_nothing() -> None:
    response = Client().get(URL)
    is_error(response, 401, "key_missing")
    assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer ", "mw_secret"])
def test_it_refuses_a_header_of_another_form(header: str) -> None:
    is_error(Client(headers={"Authorization": header}).get(URL), 401, "key_missing")


@pytest.mark.parametrize("secret", ["mw_wrong", "x" * 100_000, "ü", "a\0b"])
def test_it_refuses_a_wrong_key(secret: str) -> None:
    is_error(with_key(secret).get(URL), 401, "key_unknown")


def test_it_tells_a_revoked_key_from_an_unknown_one() -> None:
    secret = key("read")
    revoke_api_key("shop", actor=by())
    told = is_error(with_key(secret).get(URL), 401, "key_revoked")
    assert "'shop'" in told["detail"]
    assert secret not in str(told)


def test_it_asks_for_the_scope() -> None:
    told = is_error(with_key(key("submit")).get(URL), 403, "scope_missing")
    assert "'read'" in told["detail"]


def test_it_asks_the_database_once_for_many_requests(django_assert_num_queries) -> None:
    client = with_key(key("submit"))
    client.post("/api/v1/messages")
    with django_assert_num_queries(0):
        for _ in range(5):
            is_error(client.post("/api/v1/messages"), 415, "unsupported_type")


def test_it_forgets_a_key_after_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = key("read")
    assert with_key(secret).get(URL).status_code == 200
    revoke_api_key("shop", actor=by())
    now = keys.time.monotonic() + keys.KEEP + 0.1
    monkeypatch.setattr(keys.time, "monotonic", lambda: now)
    is_error(with_key(secret).get(URL), 401, "key_revoked")


def test_it_keeps_no_unknown_keys() -> None:
    for n in range(5):
        with_key(f"mw_{n}").get(URL)
    assert not keys._known


def test_it_notes_the_use_once_a_minute() -> None:
    secret = key("read")
    with_key(secret).get(URL)
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    keys.forget()
    with_key(secret).get(URL)
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    keys.forget()
    with_key(secret).get(URL)
    assert ApiKey.objects.get().last_used_at > first - timedelta(seconds=1)


# ── Sessions ──────────────────────────────────────────────────────────────────────────────────


def logged_in(**values: bool) -> Client:
    user = get_user_model().objects.create_user("vera", password="correct-horse", **values)
    client = Client(enforce_csrf_checks=True)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_it_lets_a_viewer_read_and_no_more() -> None:
    client = logged_in()
    assert client.get(URL).status_code == 200
    client.cookies["mailweir_csrf"] = "a" * 32
    refused = client.post("/api/v1/messages", headers={"X-CSRFToken": "a" * 32})
    is_error(refused, 403, "scope_missing")


def test_it_lets_staff_submit_with_the_csrf_token_only() -> None:
    client = logged_in(is_staff=True)
    is_error(client.post("/api/v1/messages"), 403, "csrf_failed")
    client.cookies["mailweir_csrf"] = "a" * 32
    passed = client.post("/api/v1/messages", headers={"X-CSRFToken": "a" * 32})
    is_error(passed, 415, "unsupported_type")


def test_it_needs_no_csrf_token_with_a_key() -> None:
    client = Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {key('submit')}"})
    is_error(client.post("/api/v1/messages"), 415, "unsupported_type")


def test_it_refuses_a_disabled_user() -> None:
    client = logged_in()
    get_user_model().objects.update(is_active=False)
    is_error(client.get(URL), 401, "key_missing")
