"""People for administrators: invite, role, permissions, deactivate; and never without an administrator."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from queueapp.access import people, refusals
from queueapp.access.change import AccessError, NotAllowed, Taken
from queueapp.models import AuditEvent
from tests.access.by import by
from tests.dashboard.people import PASSWORD, a_person, as_role, logged_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    refusals.forget()
    return as_role("administrator", name="root")


def link_in(page: str) -> str:
    found = re.search(r'id="link">http://testserver([^<]+)<', page)
    assert found, page
    return found[1]


def chosen(path: str, password: str = PASSWORD) -> int:
    """A stranger opens the link and chooses a password."""
    client = Client()
    form = client.get(path, follow=True)
    where = form.redirect_chain[-1][0] if form.redirect_chain else path
    return client.post(where, {"new_password1": password, "new_password2": password}).status_code


def test_a_person_is_invited_and_chooses_a_password(admin: Client) -> None:
    page = admin.post("/people", {"name": "otto", "role": "operator"})
    assert page["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    user = User.objects.get(username="otto")
    assert not user.has_usable_password()
    assert people.role_of(user).name == "operator"
    path = link_in(page.text)
    assert chosen(path) == 302
    assert Client().post("/login", {"username": "otto", "password": PASSWORD})["Location"] == "/"
    told = list(AuditEvent.objects.order_by("id").values_list("actor", "action", "target"))
    assert told == [
        ("user:root", "person.create", "otto"), ("user:otto", "person.password", "otto"),
        ("user:otto", "session.login", "otto"),
    ]  # fmt: skip


def test_a_link_counts_once(admin: Client) -> None:
    path = link_in(admin.post("/people", {"name": "otto", "role": "viewer"}).text)
    chosen(path)
    again = Client().get(path, follow=True)
    assert "no longer good" in again.text
    assert "no longer good" in Client().get("/welcome/MQ/set-password").text


def test_a_new_link_lets_in_who_forgot(admin: Client) -> None:
    user = a_person("otto")
    session = logged_in(user)
    path = link_in(admin.post(f"/people/{user.pk}/link").text)
    assert chosen(path, "quite-another-one") == 302
    user.refresh_from_db()
    assert user.check_password("quite-another-one")
    assert session.get("/account").status_code == 302
    assert AuditEvent.objects.filter(action="person.link", target="otto").exists()


def test_a_weak_password_is_not_taken(admin: Client) -> None:
    path = link_in(admin.post("/people", {"name": "otto", "role": "viewer"}).text)
    assert chosen(path, "short") == 200
    assert not User.objects.get(username="otto").has_usable_password()


@pytest.mark.parametrize(
    ("name", "role", "text"),
    [("a b", "viewer", "no usable name"), ("", "viewer", "no usable name"),
     ("x" * 101, "viewer", "no usable"),
     ("otto", "boss", "no role"), ("ROOT", "viewer", "already"), ("a\0b", "viewer", "no usable name"),
     ("<script>", "viewer", "no usable name")],
)  # fmt: skip
def test_it_says_what_is_wrong(admin: Client, name: str, role: str, text: str) -> None:
    page = admin.post("/people", {"name": name, "role": role})
    assert page.status_code == 422
    assert text in page.text
    assert "<script>alert" not in page.text
    assert User.objects.count() == 1


def test_role_and_permissions_are_given_together(admin: Client) -> None:
    user = a_person("otto", "viewer")
    admin.post(f"/people/{user.pk}/role", {"role": "campaigns", "permission": ["bodies"]})
    user = User.objects.get(pk=user.pk)
    assert people.role_of(user).name == "campaigns"
    assert "bodies" in people.scopes_of(user)
    event = AuditEvent.objects.get(action="person.role")
    assert event.detail == {"before": ["viewer"], "after": ["campaigns", "bodies"]}
    admin.post(f"/people/{user.pk}/role", {"role": "viewer"})
    assert people.scopes_of(User.objects.get(pk=user.pk)) == {"read"}


def test_admin_as_a_single_permission_is_everything(admin: Client) -> None:
    user = a_person("otto", "viewer", "admin")
    assert people.scopes_of(user) == by().scopes


def test_groups_of_others_are_left_alone(admin: Client) -> None:
    from django.contrib.auth.models import Group

    user = a_person("otto", "viewer")
    user.groups.add(Group.objects.create(name="football"))
    admin.post(f"/people/{user.pk}/role", {"role": "operator"})
    assert set(user.groups.values_list("name", flat=True)) == {"football", "operator"}


def test_staff_from_before_are_operators() -> None:
    user = User.objects.create_user("old", password=PASSWORD, is_staff=True)
    assert people.role_of(user).name == "operator"
    assert people.role_of(User.objects.create_user("older", password=PASSWORD)).name == "viewer"


@pytest.mark.parametrize("verb", ["deactivate", "role"])
def test_nobody_takes_it_from_themselves(admin: Client, verb: str) -> None:
    a_person("grace", "administrator")
    me = User.objects.get(username="root")
    page = admin.post(f"/people/{me.pk}/{verb}", {"role": "viewer"})
    assert page.status_code == 409
    assert "another administrator can" in page.text
    me.refresh_from_db()
    assert me.is_active
    assert me.is_superuser


def test_the_last_administrator_stays() -> None:
    last = a_person("root", "administrator")
    User.objects.filter(pk=a_person("gone", "administrator").pk).update(is_active=False)
    for change in (lambda: people.deactivate(by(), last), lambda: people.change_role(by(), last, "viewer")):
        with pytest.raises(Taken, match="last administrator"):
            change()
    last.refresh_from_db()
    assert last.is_active
    assert last.is_superuser


def test_a_second_one_can_go(admin: Client) -> None:
    second = a_person("grace", "administrator")
    admin.post(f"/people/{second.pk}/role", {"role": "operator"})
    second.refresh_from_db()
    assert not second.is_superuser
    admin.post(f"/people/{second.pk}/deactivate")
    second.refresh_from_db()
    assert not second.is_active
    assert "deactivated already" in admin.post(f"/people/{second.pk}/deactivate").text


def test_a_lost_factor_is_reset(admin: Client) -> None:
    user = a_person("otto")
    TOTPDevice.objects.create(user=user, confirmed=True)
    client = logged_in(user)
    admin.post(f"/people/{user.pk}/totp-reset")
    assert client.get("/account").status_code == 302
    assert Client().post("/login", {"username": "otto", "password": PASSWORD})["Location"] == "/"
    assert "has no second factor" in admin.post(f"/people/{user.pk}/totp-reset").text


def test_the_list_tells_role_factor_and_log_in(admin: Client) -> None:
    a_person("otto", "operator")
    a_person("carla", "campaigns", is_active=False)
    page = admin.get("/people").text
    for text in ("otto", "Operator", "never logged in", "Campaign staff", "deactivated", "(you)"):
        assert text in page
    assert "carla" not in admin.get("/people?q=ott").text


def test_the_list_costs_no_query_for_each_person(admin: Client, django_assert_max_num_queries) -> None:
    for n in range(30):
        a_person(f"p{n}", "operator")
    with django_assert_max_num_queries(6):
        admin.get("/people")


@pytest.mark.parametrize("verb", ["role", "deactivate", "activate", "link", "totp-reset", "end-sessions"])
def test_only_administrators_change_people(verb: str) -> None:
    refusals.forget()
    victim = a_person("otto")
    assert as_role("operator", name="eve").post(f"/people/{victim.pk}/{verb}").status_code == 403
    assert AuditEvent.objects.get().is_refused


def test_the_action_itself_asks_for_the_scope() -> None:
    refusals.forget()
    otto = a_person("otto")
    eve = by("user:eve", "read", "operate")
    for change in (
        lambda: people.create(eve, "x", "administrator"),
        lambda: people.change_role(eve, otto, "administrator"),
        lambda: people.deactivate(eve, otto), lambda: people.activate(eve, otto),
        lambda: people.reset_totp(eve, otto), lambda: people.note_link(eve, otto),
    ):  # fmt: skip
        with pytest.raises(NotAllowed):
            change()
    assert AuditEvent.objects.filter(is_refused=True).count() == 6
    assert issubclass(NotAllowed, AccessError)


def test_a_person_that_is_not_there(admin: Client) -> None:
    assert admin.get("/people/99").status_code == 404
    assert admin.post("/people/99/deactivate").status_code == 404
