"""SMTP logins: right, wrong, revoked; and how long the answer is remembered."""

from __future__ import annotations

import asyncio

import pytest
from django.utils import timezone

from queueapp.models import SmtpLogin
from queueapp.models.access import digest
from queueapp.workers import logins
from queueapp.workers.logins import Logins

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop() -> SmtpLogin:
    return SmtpLogin.objects.create(name="shop", digest=digest("right"))


def asked(*pairs: tuple[str, str], using: Logins | None = None) -> list[bool]:
    async def main() -> list[bool]:
        known = using or Logins()
        return [await known.check(name, password) == name for name, password in pairs]

    return asyncio.run(main())


def test_it_works(shop: SmtpLogin) -> None:
    assert asked(("shop", "right"), ("shop", "right")) == [True, True]
    shop.refresh_from_db()
    assert shop.last_used_at is not None


@pytest.mark.parametrize(
    ("name", "password"),
    [("shop", "wrong"), ("shop", ""), ("nobody", "right"), ("", ""), ("sh\0op", "right"), ("x" * 99, "r")],
)  # fmt: skip
def test_it_refuses_what_is_wrong(shop: SmtpLogin, name: str, password: str) -> None:
    assert asked((name, password)) == [False]
    shop.refresh_from_db()
    assert shop.last_used_at is None


def test_a_wrong_password_stays_wrong_after_a_right_one(shop: SmtpLogin) -> None:
    assert asked(("shop", "right"), ("shop", "wrong"), ("shop", "right")) == [True, False, True]


def test_it_refuses_a_revoked_one_within_seconds(shop: SmtpLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Logins()
    assert asked(("shop", "right"), using=known) == [True]
    SmtpLogin.objects.update(revoked_at=timezone.now())
    monkeypatch.setattr(
        logins.time, "monotonic", lambda real=logins.time.monotonic: real() + logins.CACHE_FOR
    )
    assert asked(("shop", "right"), using=known) == [False]


def test_a_new_login_counts_at_once() -> None:
    known = Logins()
    assert asked(("shop", "right"), using=known) == [False]
    SmtpLogin.objects.create(name="shop", digest=digest("right"))
    assert asked(("shop", "right"), using=known) == [True]


def test_its_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "_MOST", 3)
    SmtpLogin.objects.bulk_create(SmtpLogin(name=f"l{n}", digest=digest("right")) for n in range(10))
    known = Logins()
    assert all(asked(*((f"l{n}", "right") for n in range(10)), using=known))
    assert len(known._known) <= 3
