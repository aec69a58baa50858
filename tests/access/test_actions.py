from __future__ import annotations

import pytest

from queueapp.access.actions import (
    AccessError,
    create_api_key,
    create_smtp_login,
    revoke_api_key,
    revoke_smtp_login,
)
from queueapp.models import ApiKey, AuditEvent, SmtpLogin
from queueapp.models.access import digest
from tests.access.by import by

pytestmark = pytest.mark.django_db


def test_it_makes_a_key_and_keeps_its_digest_only() -> None:
    key, secret = create_api_key("shop", ["read", "submit"], actor=by("ann", origin="192.0.2.7"))
    row = ApiKey.objects.get()
    assert (row.pk, row.digest, row.scopes) == (key.pk, digest(secret), ["submit", "read"])
    assert len(secret) > 30
    event = AuditEvent.objects.get()
    assert (event.actor, event.origin, event.action, event.target) == (
        "ann", "192.0.2.7", "apikey.create", "shop",
    )  # fmt: skip
    assert secret not in str(event.detail)


def test_it_makes_a_login_and_keeps_its_digest_only() -> None:
    _, secret = create_smtp_login("printer", actor=by("ann"))
    assert SmtpLogin.objects.get().digest == digest(secret)
    assert AuditEvent.objects.get().action == "smtplogin.create"


def test_it_gives_every_key_another_secret() -> None:
    assert create_api_key("a", ["read"], actor=by("x"))[1] != create_api_key("b", ["read"], actor=by("x"))[1]


def test_it_revokes_once_and_says_so_the_second_time() -> None:
    create_api_key("shop", ["read"], actor=by("ann"))
    revoke_api_key("shop", actor=by("bob"))
    assert ApiKey.objects.get().revoked_at is not None
    with pytest.raises(AccessError, match="'shop' is revoked already"):
        revoke_api_key("shop", actor=by("bob"))
    actions = list(AuditEvent.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["apikey.create", "apikey.revoke"]


def test_it_revokes_a_login() -> None:
    create_smtp_login("printer", actor=by("ann"))
    revoke_smtp_login("printer", actor=by("ann"))
    assert SmtpLogin.objects.get().revoked_at is not None


@pytest.mark.parametrize("revoke", [revoke_api_key, revoke_smtp_login])
def test_it_refuses_to_revoke_what_is_not_there(revoke) -> None:
    with pytest.raises(AccessError, match="named 'nobody'"):
        revoke("nobody", actor=by("ann"))
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("name", ["", " a", "a b", "a\nb", "a\0b", "ü", "-a", "x" * 101, "user:ann"])
def test_it_refuses_names_that_could_mislead(name: str) -> None:
    with pytest.raises(AccessError, match="no usable name"):
        create_api_key(name, ["read"], actor=by("ann"))
    with pytest.raises(AccessError, match="no usable name"):
        create_smtp_login(name, actor=by("ann"))


@pytest.mark.parametrize("scopes", [[], ["all"], ["read", "write"]])
def test_it_refuses_scopes_that_there_are_not(scopes: list[str]) -> None:
    with pytest.raises(AccessError, match="submit, read, bodies, operate, campaigns, export, admin"):
        create_api_key("shop", scopes, actor=by("ann"))
    assert not ApiKey.objects.exists()


def test_it_never_uses_a_name_again() -> None:
    create_api_key("shop", ["read"], actor=by("ann"))
    revoke_api_key("shop", actor=by("ann"))
    with pytest.raises(AccessError, match="not used again"):
        create_api_key("shop", ["read"], actor=by("ann"))
    create_smtp_login("printer", actor=by("ann"))
    with pytest.raises(AccessError, match="not used again"):
        create_smtp_login("printer", actor=by("ann"))
    assert AuditEvent.objects.count() == 3
