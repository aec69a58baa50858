"""Sessions: listed with where from and how long, ended one by one or all, over by age and by idleness."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.auth import sessions
from dashboard.auth.browsers import browser_of
from dashboard.models import Session
from queueapp import conf
from queueapp.access import refusals
from queueapp.models import AuditEvent
from tests.dashboard.people import PASSWORD, a_person, as_role, logged_in

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(autouse=True)
def _forget() -> None:
    refusals.forget()


def is_in(client: Client) -> bool:
    return bool(client.get("/account").status_code == 200)


def by_form(name: str = "vera", **options: str) -> Client:
    client = Client(**options)  # type: ignore[arg-type]
    assert client.post("/login", {"username": name, "password": PASSWORD})["Location"] == "/"
    return client


def test_it_keeps_where_from_and_by_what() -> None:
    user = a_person()
    client = by_form(REMOTE_ADDR="192.0.2.9", HTTP_USER_AGENT=FIREFOX)
    row = Session.objects.get()
    assert (row.user, row.origin, row.agent) == (user, "192.0.2.9", FIREFOX)
    page = client.get("/account").text
    assert "Firefox on Linux" in page
    assert "from 192.0.2.9" in page
    assert "this one" in page
    assert row.session_key not in page
    event = AuditEvent.objects.get(action="session.login")
    assert (event.actor, event.origin, event.detail["by"]) == ("user:vera", "192.0.2.9", "password")


def test_one_of_ones_own_is_ended() -> None:
    user = a_person()
    here, there = logged_in(user), logged_in(user)
    key = there.cookies["mailweir_session"].value
    handle = sessions.handle(Session.objects.get(pk=key))
    assert here.post(f"/account/sessions/{handle}/end")["Location"] == "/account"
    assert is_in(here)
    assert not is_in(there)
    assert AuditEvent.objects.get(action="session.end").target == "vera"


def test_all_others_are_ended() -> None:
    user = a_person()
    here, others = logged_in(user), [logged_in(user) for _ in range(3)]
    stranger = as_role(name="otto")
    here.post("/account/sessions/end-others")
    assert is_in(here)
    assert is_in(stranger)
    assert not any(is_in(other) for other in others)
    assert AuditEvent.objects.get(action="session.end").n == 3


def test_somebody_elses_is_none_of_ones_own_and_noted() -> None:
    other = as_role(name="otto")
    handle = sessions.handle(Session.objects.get())
    answer = as_role(name="vera").post(f"/account/sessions/{handle}/end")
    assert answer.status_code == 404
    assert is_in(other)
    event = AuditEvent.objects.get(is_refused=True)
    assert (event.actor, event.action, event.target) == ("user:vera", "session.end", handle)


def test_an_administrator_ends_those_of_others() -> None:
    user = a_person("otto")
    clients = [logged_in(user) for _ in range(2)]
    as_role("administrator", name="root").post(f"/people/{user.pk}/end-sessions")
    assert not any(is_in(client) for client in clients)


@pytest.mark.parametrize("setting", ["session_idle", "session_age"])
def test_it_is_over_after_a_time(setting: str) -> None:
    client = as_role()
    column = {"session_idle": "last_seen_at", "session_age": "created_at"}[setting]
    with conf.override(**{setting: timedelta(hours=2)}):
        Session.objects.update(**{column: timezone.now() - timedelta(hours=1, minutes=59)})
        assert is_in(client)
        Session.objects.update(**{column: timezone.now() - timedelta(hours=2, seconds=1)})
        assert not is_in(client)
        assert client.get("/api/v1/summary").status_code == 401


def test_being_here_counts_once_a_minute_and_a_part_of_a_page_does_not() -> None:
    client = as_role()
    before = timezone.now() - timedelta(minutes=5)
    Session.objects.update(last_seen_at=before)
    client.get("/", headers={"HX-Request": "true"})
    assert Session.objects.get().last_seen_at == before
    client.get("/account")
    seen = Session.objects.get().last_seen_at
    assert seen > before + timedelta(minutes=4)
    client.get("/account")
    assert Session.objects.get().last_seen_at == seen


def test_saving_keeps_since_when_and_where_from() -> None:
    client = as_role()
    row = Session.objects.get()
    Session.objects.update(created_at=row.created_at - timedelta(hours=1), origin="192.0.2.1", agent="x")
    session = client.session
    session["a"] = "b"
    session.save()
    now = Session.objects.get()
    assert (now.created_at, now.origin, now.agent) == (row.created_at - timedelta(hours=1), "192.0.2.1", "x")


def test_what_is_over_is_cleared() -> None:
    as_role()
    kept = as_role(name="otto")
    Session.objects.exclude(pk=kept.cookies["mailweir_session"].value).update(
        last_seen_at=timezone.now() - conf.current().session_idle
    )
    sessions.SessionStore.clear_expired()
    assert Session.objects.get().user.username == "otto"


def test_a_deactivated_person_is_out_at_once_and_stays_out() -> None:
    user = a_person("otto")
    client, admin = logged_in(user), as_role("administrator", name="root")
    admin.post(f"/people/{user.pk}/deactivate")
    assert not is_in(client)
    admin.post(f"/people/{user.pk}/activate")
    assert not is_in(client), "the session must not come back to life"


def test_logging_out_leaves_a_row() -> None:
    as_role().post("/logout")
    assert not Session.objects.filter(user__isnull=False).exists()
    assert AuditEvent.objects.get().action == "session.logout"


# ── The password ──────────────────────────────────────────────────────────────────────────────


def change(client: Client, old: str = PASSWORD, new: str = "another-long-one", again: str = "") -> int:
    fields = {"old_password": old, "new_password1": new, "new_password2": again or new}
    return client.post("/account/password", fields).status_code


def test_a_new_password_ends_the_other_sessions() -> None:
    user = a_person()
    here, there = logged_in(user), logged_in(user)
    assert change(here) == 302
    assert is_in(here)
    assert not is_in(there)
    user.refresh_from_db()
    assert user.check_password("another-long-one")
    assert user.password.startswith("argon2")
    assert AuditEvent.objects.get(action="person.password").actor == "user:vera"


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [("wrong", "another-long-one", ""), (PASSWORD, "short", ""), (PASSWORD, "1234567890123", ""),
     (PASSWORD, "password123", ""), (PASSWORD, "vera-vera-vera", ""),
     (PASSWORD, "another-long-one", "other")],
)  # fmt: skip
def test_it_refuses_a_password_that_is_wrong_or_weak(old: str, new: str, again: str) -> None:
    user = a_person(email="vera-vera-vera@example.com")
    assert change(logged_in(user), old, new, again) == 422
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert AuditEvent.objects.get().is_refused


def test_a_wrong_log_in_is_noted(client: Client) -> None:
    client.post("/login", {"username": "vera\0", "password": "x"})
    client.post("/login", {"username": "vera", "password": "x"})
    events = AuditEvent.objects.filter(action="session.login", is_refused=True)
    assert "vera" in events.latest("id").target
    assert events.latest("id").detail == {"why": "name or password is wrong"}


def test_a_form_of_a_strangers_page_is_noted() -> None:
    client = logged_in(a_person(), enforce_csrf_checks=True)
    answer = client.post("/account/sessions/end-others", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.is_refused) == ("user:vera", "http.post", True)
    assert event.detail["from"] == "https://evil.example"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("curl/8.5.0", "curl"), ("", "an unknown program"), ("<script>", "<script>"),
    ],
)  # fmt: skip
def test_it_names_browsers(agent: str, name: str) -> None:
    assert browser_of(agent) == name
