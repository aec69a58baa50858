"""`person`, called as the command line calls it."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client

from queueapp.access import people
from queueapp.models import AuditEvent
from tests.dashboard.people import PASSWORD, a_person
from tests.management.calls import manage

pytestmark = [pytest.mark.once, pytest.mark.django_db]


def test_it_makes_a_person_and_prints_the_link_alone() -> None:
    done = manage("person", "create", "otto", "--role", "operator", "--permission", "campaigns")
    assert done.code == 0
    user = User.objects.get()
    assert people.role_of(user).name == "operator"
    assert people.permissions_of(user) == {"campaigns"}
    form = Client().get(urlsplit(done.out.strip()).path, follow=True)
    assert "Welcome, otto" in form.text
    assert "Good once" in done.err
    assert AuditEvent.objects.get().actor.startswith("command")


def test_it_lists_people() -> None:
    a_person("root", "administrator")
    a_person("vera", "viewer", "bodies")
    shown = manage("person", "list").out.splitlines()
    assert shown[0].split() == ["name", "role", "permissions", "totp", "active", "last_login"]
    assert shown[2].split() == ["vera", "viewer", "bodies", "no", "yes", "-"]
    rows = [json.loads(line) for line in manage("person", "list", "--json").out.splitlines()]
    assert [(row["name"], row["role"]) for row in rows] == [("root", "administrator"), ("vera", "viewer")]


def test_it_changes_the_role_and_leaves_permissions_unless_told() -> None:
    user = a_person("vera", "viewer", "bodies")
    assert manage("person", "role", "vera", "operator").out == "vera is operator now.\n"
    assert people.permissions_of(User.objects.get(pk=user.pk)) == {"bodies"}
    manage("person", "role", "vera", "operator", "--permission", "")
    assert people.permissions_of(User.objects.get(pk=user.pk)) == set()


def test_it_deactivates_and_activates() -> None:
    a_person("vera")
    assert manage("person", "deactivate", "vera").code == 0
    assert not User.objects.get().is_active
    assert manage("person", "link", "vera").code == 1
    assert manage("person", "activate", "vera").code == 0
    assert manage("person", "link", "vera").out.startswith("http://")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("role", "nobody", "viewer"), 1, "no person named 'nobody'"),
        (("role", "root", "viewer"), 1, "last administrator"),
        (("deactivate", "root"), 1, "last administrator"),
        (("create", "a b"), 2, "no usable name"),
        (("create", "x", "--role", "boss"), 2, "no role 'boss'"),
        (("create", "x", "--permission", "fly"), 2, "no permission 'fly'"),
        (("create", "root"), 1, "already"),
        (("totp-reset", "root"), 1, "no second factor"),
        (("activate", "root"), 1, "active already"),
        ((), 2, "usage:"),
    ],
)
def test_it_refuses_in_one_line(arguments: tuple[str, ...], code: int, text: str) -> None:
    a_person("root", "administrator")
    done = manage("person", *arguments)
    assert (done.code, done.out) == (code, "")
    assert text in done.err
    assert User.objects.count() == 1
    assert User.objects.get().check_password(PASSWORD)
