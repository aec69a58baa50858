"""`apikey` and `smtplogin`, called as the command line calls them."""

from __future__ import annotations

import json

import pytest

from queueapp.models import ApiKey, AuditEvent, SmtpLogin
from queueapp.models.access import digest
from tests.management.calls import manage

pytestmark = pytest.mark.django_db


def test_it_prints_the_key_alone_on_stdout() -> None:
    done = manage("apikey", "create", "shop", "--scope", "submit,read")
    assert done.code == 0
    row = ApiKey.objects.get()
    assert (row.digest, row.scopes) == (digest(done.out.strip()), ["submit", "read"])
    assert "not shown again" in done.err


def test_it_gives_submit_only_by_default() -> None:
    manage("apikey", "create", "shop")
    assert ApiKey.objects.get().scopes == ["submit"]


def test_it_names_the_user_in_the_audit_trail() -> None:
    manage("apikey", "create", "shop")
    assert AuditEvent.objects.get().actor.startswith("command")


def test_it_lists_keys_without_secrets() -> None:
    secret = manage("apikey", "create", "shop", "--scope", "read").out.strip()
    manage("apikey", "create", "old")
    manage("apikey", "revoke", "old")
    shown = manage("apikey", "list").out
    assert shown.splitlines()[0].split() == ["name", "scopes", "created_at", "last_used_at", "revoked_at"]
    assert [line.split()[0] for line in shown.splitlines()[1:]] == ["old", "shop"]
    rows = [json.loads(line) for line in manage("apikey", "list", "--json").out.splitlines()]
    assert [row["scopes"] for row in rows] == [["submit"], ["read"]]
    assert rows[0]["revoked_at"]
    assert rows[1]["revoked_at"] is None
    assert secret not in shown + json.dumps(rows)


def test_it_teaches_where_there_is_none() -> None:
    assert "create NAME" in manage("apikey", "list").out
    assert manage("apikey", "list", "--json").out == ""


def test_it_makes_lists_and_revokes_logins() -> None:
    secret = manage("smtplogin", "create", "printer").out.strip()
    assert SmtpLogin.objects.get().digest == digest(secret)
    assert "printer" in manage("smtplogin", "list").out
    assert manage("smtplogin", "revoke", "printer").out == "Revoked printer.\n"
    assert SmtpLogin.objects.get().revoked_at is not None


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("create", "shop", "--scope", "fly"), 2, "no scope 'fly'"),
        (("create", "a b"), 2, "'a b' is no usable name"),
        (("create", "taken"), 1, "'taken'"),
        (("revoke", "nobody"), 1, "no API key named 'nobody'"),
        ((), 2, "usage:"),
        (("destroy", "shop"), 2, "invalid choice: 'destroy'"),
    ],
)
def test_it_refuses_in_one_line(arguments: tuple[str, ...], code: int, text: str) -> None:
    manage("apikey", "create", "taken")
    done = manage("apikey", *arguments)
    assert done.code == code
    assert text in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
