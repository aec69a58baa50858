"""Log-in by two factors: set up, asked for, recovery, throttling, and the roles that must have it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from dashboard.auth import totp
from queueapp import conf
from queueapp.access import refusals
from queueapp.models import AuditEvent
from tests.dashboard.people import PASSWORD, a_person, as_role, logged_in

pytestmark = [pytest.mark.once, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _stopped_clock() -> Iterator[None]:
    """A code is good for half a minute, and a test may not meet its end."""
    refusals.forget()
    with time_machine.travel(time.time(), tick=False):
        yield


def code_of(user: User, *, ahead: int = 0, **of: Any) -> str:
    """What the app shows; `ahead` steps of half a minute later."""
    device = TOTPDevice.objects.get(user=user, **of)
    shown = TOTP(device.bin_key, device.step, device.t0, device.digits)
    shown.time = time.time() + ahead * device.step
    return f"{shown.token():06}"


def with_factor(name: str = "otto", role: str = "operator") -> tuple[User, list[str]]:
    user = a_person(name, role)
    totp.begin(user)
    codes = totp.confirm(user, code_of(user, ahead=-1))
    assert codes is not None
    return user, codes


def log_in(client: Client, name: str = "otto", **more: str) -> Any:
    return client.post("/login", {"username": name, "password": PASSWORD, **more})


def is_in(client: Client) -> bool:
    return bool(client.get("/").status_code == 200)


def test_it_is_set_up_on_one_page_and_asked_for_from_then_on() -> None:
    user = a_person("otto", "operator")
    client = logged_in(user)
    page = client.get("/account/totp").text
    assert 'src="data:image/svg+xml' in page
    assert "style=" not in page
    shown = client.post("/account/totp", {"code": code_of(user, ahead=-1), "password": PASSWORD}).text
    codes = re.search(r'id="codes"[^>]*>([^<]+)<', shown)
    assert codes
    assert len(codes[1].split()) == 10
    assert AuditEvent.objects.get(action="person.totp").actor == "user:otto"
    other = Client()
    assert log_in(other)["Location"] == "/login/code"
    assert not is_in(other)
    assert other.post("/login/code", {"code": code_of(user)})["Location"] == "/"
    assert is_in(other)
    assert AuditEvent.objects.get(action="session.login").detail["by"] == "password and code"


def test_it_goes_on_where_the_reader_wanted() -> None:
    user, _ = with_factor()
    client = Client()
    where = log_in(client, next="/deliveries?q=a")["Location"]
    assert where == "/login/code?next=%2Fdeliveries%3Fq%3Da"
    assert 'value="/deliveries?q=a"' in client.get(where).text
    answer = client.post("/login/code", {"code": code_of(user), "next": "/deliveries?q=a"})
    assert answer["Location"] == "/deliveries?q=a"


def test_it_never_sends_the_reader_elsewhere() -> None:
    user, _ = with_factor()
    client = Client()
    log_in(client)
    assert (
        client.post("/login/code", {"code": code_of(user), "next": "https://evil.example/"})["Location"]
        == "/"
    )


def test_a_code_counts_once() -> None:
    user, _ = with_factor()
    code = code_of(user)
    for n in range(2):
        client = Client()
        log_in(client)
        client.post("/login/code", {"code": code})
        assert is_in(client) is (n == 0)


def test_a_recovery_code_counts_once_as_well() -> None:
    _, codes = with_factor()
    for n in range(2):
        client = Client()
        log_in(client)
        client.post("/login/code", {"code": codes[0].upper()})
        assert is_in(client) is (n == 0)
    assert StaticToken.objects.count() == 9


def test_a_wrong_code_is_told_noted_and_slowed_down() -> None:
    user, _ = with_factor()
    client = Client()
    log_in(client)
    page = client.post("/login/code", {"code": "000000"}).text
    assert "That code is not right. Wait 1 second" in page
    event = AuditEvent.objects.get(action="session.login", is_refused=True)
    assert (event.actor, event.target, event.detail) == ("stranger", "otto", {"why": "the code is wrong"})
    client.post("/login/code", {"code": code_of(user)})
    assert not is_in(client), "the right one comes too soon after the wrong one"


def test_after_five_wrong_codes_the_password_is_asked_for_again() -> None:
    with_factor()
    client = Client()
    log_in(client)
    answers = [client.post("/login/code", {"code": "000000"}) for _ in range(5)]
    assert answers[-1]["Location"] == "/login"
    assert client.get("/login/code")["Location"] == "/login"


@pytest.mark.parametrize("path", ["/", "/account", "/api/v1/summary"])
def test_between_the_factors_nobody_is_logged_in(path: str) -> None:
    with_factor()
    client = Client()
    log_in(client)
    assert client.get(path).status_code in (302, 401)


def test_the_time_between_the_factors_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.auth import login

    user, _ = with_factor()
    client = Client()
    log_in(client)
    monkeypatch.setattr(login, "MOST_BETWEEN", -1)
    log_in(client)
    assert client.post("/login/code", {"code": code_of(user)})["Location"] == "/login"
    assert not is_in(client)


def test_nobody_comes_to_the_code_without_a_password(client: Client) -> None:
    with_factor()
    assert client.get("/login/code")["Location"] == "/login"
    assert client.post("/login/code", {"code": "123456"})["Location"] == "/login"


@pytest.mark.parametrize("given", [{"password": "wrong"}, {"code": "000000"}])
def test_setting_it_up_needs_password_and_code(given: dict[str, str]) -> None:
    user = a_person("otto", "operator")
    client = logged_in(user)
    client.get("/account/totp")
    right = {"code": code_of(user), "password": PASSWORD}
    assert client.post("/account/totp", {**right, **given}).status_code == 422
    assert totp.device_of(user) is None


def test_setting_it_up_ends_the_other_sessions() -> None:
    user = a_person("otto", "operator")
    here, there = logged_in(user), logged_in(user)
    here.get("/account/totp")
    here.post("/account/totp", {"code": code_of(user), "password": PASSWORD})
    assert is_in(here)
    assert not is_in(there)


def test_it_is_turned_off_against_a_code_only() -> None:
    user, codes = with_factor()
    client = logged_in(user)
    client.post("/account/totp/off", {"code": "000000"})
    assert totp.device_of(user) is not None
    assert "not right" in client.get("/account").text
    client.post("/account/totp/off", {"code": codes[0]})
    assert totp.device_of(user) is None


def test_new_recovery_codes_replace_the_old() -> None:
    user, codes = with_factor()
    page = logged_in(user).post("/account/totp/codes", {"code": codes[0]}).text
    assert codes[1] not in page
    assert not totp.is_right(user, codes[1])


# ── Roles that must have it ───────────────────────────────────────────────────────────────────


def test_a_role_that_must_sees_nothing_before_it_is_set_up() -> None:
    with conf.override(totp_for=("operator",)):
        client = as_role("operator", name="otto")
        assert client.get("/")["Location"] == "/account/totp"
        assert client.get("/api/v1/summary").status_code == 403
        page = client.get("/account")
        assert page.status_code == 200
        assert "data-live=" not in page.text, "a socket that is refused would be tried again and again"
        assert "Your role needs a second factor" in client.get("/account/totp").text
        user = User.objects.get()
        client.post("/account/totp", {"code": code_of(user, ahead=-1), "password": PASSWORD})
        assert is_in(client)
        assert client.get("/api/v1/summary").status_code == 200


def test_a_role_that_must_can_not_turn_it_off() -> None:
    user, codes = with_factor()
    with conf.override(totp_for=("operator",)):
        client = logged_in(user)
        client.post("/account/totp/off", {"code": codes[0]})
        assert totp.device_of(user) is not None
        assert AuditEvent.objects.get(action="person.totp-off").is_refused


def test_other_roles_are_not_asked() -> None:
    with conf.override(totp_for=("administrator",)):
        assert is_in(as_role("operator"))
