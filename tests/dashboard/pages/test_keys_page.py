"""Keys and logins on their page: made, shown once, expired, revoked."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.api import keys
from queueapp.access import refusals
from queueapp.models import ApiKey, AuditEvent, SmtpLogin
from queueapp.models.access import digest
from tests.dashboard.api.asking import is_error, with_key
from tests.dashboard.people import as_role

pytestmark = [pytest.mark.once, pytest.mark.django_db]


@pytest.fixture
def admin() -> Client:
    refusals.forget()
    keys.forget()
    return as_role("administrator", name="root")


def secret_in(page: str) -> str:
    found = re.search(r'id="secret">([^<]+)<', page)
    assert found
    return found[1]


def test_a_key_is_made_shown_once_and_works(admin: Client) -> None:
    page = admin.post("/keys", {"kind": "key", "name": "shop", "scope": ["submit", "read"]})
    assert "no-store" in page["Cache-Control"]
    secret = secret_in(page.text)
    row = ApiKey.objects.get()
    assert (row.digest, row.scopes, row.made_by) == (digest(secret), ["submit", "read"], "user:root")
    assert with_key(secret).get("/api/v1/summary").status_code == 200
    assert secret not in admin.get("/keys").text
    assert AuditEvent.objects.get().detail["scopes"] == ["submit", "read"]


def test_a_key_is_good_until_the_end_of_a_day(admin: Client) -> None:
    day = timezone.now().date() + timedelta(days=1)
    secret = secret_in(admin.post("/keys", {"name": "shop", "scope": "read", "until": f"{day}"}).text)
    row = ApiKey.objects.get()
    assert row.expires_at is not None
    assert row.expires_at.date() == day + timedelta(days=1)
    assert with_key(secret).get("/api/v1/summary").status_code == 200
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    keys.forget()
    is_error(with_key(secret).get("/api/v1/summary"), 401, "key_expired")
    assert "expired" in admin.get("/keys").text
    assert not ApiKey.objects.live().exists()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"name": "a b", "scope": "read"}, "no usable name"), ({"name": "a"}, "no scope an empty list"),
        ({"name": "a", "scope": "fly"}, "no scope"),
        ({"name": "a", "scope": "read", "until": "soon"}, "not a day"),
        ({"name": "a", "scope": "read", "until": "2001-01-01"}, "not a time to come"),
        ({"name": "<script>alert(1)</script>", "scope": "read"}, "no usable name"),
    ],
)  # fmt: skip
def test_it_says_what_is_wrong_and_keeps_what_was_typed(
    admin: Client, fields: dict[str, str], text: str
) -> None:
    page = admin.post("/keys", fields)
    assert page.status_code == 422
    assert text in page.text
    assert "<script>alert" not in page.text
    assert not ApiKey.objects.exists()


def test_a_login_is_made_and_shown_once(admin: Client) -> None:
    secret = secret_in(admin.post("/keys", {"kind": "login", "name": "printer"}).text)
    assert SmtpLogin.objects.get().digest == digest(secret)
    assert secret not in admin.get("/keys").text


def test_both_are_revoked_once(admin: Client) -> None:
    admin.post("/keys", {"name": "shop", "scope": "read"})
    admin.post("/keys", {"kind": "login", "name": "printer"})
    for path, row in (("keys", ApiKey.objects.get()), ("logins", SmtpLogin.objects.get())):
        for text in ("is revoked", "revoked already"):
            admin.post(f"/{path}/{row.pk}/revoke")
            assert text in admin.get("/keys").text
        row.refresh_from_db()
        assert row.revoked_at is not None
    assert AuditEvent.objects.filter(action__endswith=".revoke").count() == 2
    assert admin.post("/keys/999/revoke").status_code == 404


def test_every_revocation_asks_first(admin: Client) -> None:
    admin.post("/keys", {"name": "shop", "scope": "read"})
    page = admin.get("/keys").text
    pk = ApiKey.objects.get().pk
    assert f'data-opens="key-{pk}" data-destructive' in page
    assert f'<dialog class="ask" id="key-{pk}"' in page


@pytest.mark.parametrize("role", ["viewer", "operator", "campaigns"])
def test_only_administrators_see_keys(role: str) -> None:
    refusals.forget()
    client = as_role(role)
    assert client.get("/keys").status_code == 403
    assert client.post("/keys", {"name": "shop", "scope": "admin"}).status_code == 403
    assert not ApiKey.objects.exists()


def test_the_menu_offers_what_one_may(admin: Client) -> None:
    links = ('href="/people"', 'href="/keys"', 'href="/audit"')
    assert all(link in admin.get("/account").text for link in links)
    page = as_role("operator").get("/account").text
    assert not any(link in page for link in links)
    assert 'href="/account"' in page
