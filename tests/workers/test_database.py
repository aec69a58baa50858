"""The database at a start: migrated once, with one administrator."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.db import OperationalError, connection
from django.test import RequestFactory

from queueapp.workers import database

pytestmark = pytest.mark.django_db


def test_nothing_is_to_migrate_twice() -> None:
    assert database.n_pending() == 0
    assert database.migrate() == 0


def test_it_makes_the_first_administrator_once() -> None:
    password = database.first_administrator()
    assert password is not None
    assert len(password) >= 16
    request = RequestFactory().get("/")
    assert authenticate(request, username="admin", password=password) is not None
    assert database.first_administrator() is None
    assert get_user_model()._default_manager.count() == 1


def test_it_takes_the_password_that_is_set() -> None:
    assert database.first_administrator("a-long-password") == "a-long-password"
    found = get_user_model()._default_manager.get(username="admin")
    assert found.check_password("a-long-password")
    database.first_administrator("another-password")
    found.refresh_from_db()
    assert found.check_password("a-long-password")


def test_it_leaves_a_user_alone_who_happens_to_be_called_so() -> None:
    get_user_model()._default_manager.create_user("admin", None, "hers")
    assert database.first_administrator("ours") is None
    assert get_user_model()._default_manager.get().check_password("hers")


@pytest.mark.parametrize(
    ("what", "advice"),
    [("database or disk is full", "Make room"), ("unable to open database file", "Check that")],
)  # fmt: skip
def test_an_error_is_one_line_with_the_place_and_what_to_check(what: str, advice: str) -> None:
    text = database.explain(OperationalError(f"{what}\n\tsecond line"))
    assert "\n" not in text
    assert what in text
    assert (
        advice in text
        if connection.vendor == "sqlite"
        else "Check that the server runs" in text or "full" in what
    )


def test_the_place_never_tells_the_password() -> None:
    secret = connection.settings_dict.get("PASSWORD")
    assert not secret or secret not in database.place()
    assert str(connection.settings_dict["NAME"]) in database.place()
