"""Account, people, keys and audit in Chromium: the questions before what can't be undone, the second factor,
accessibility in both themes, and a telephone's width.
"""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import needs_axe, violations
from tests.browser.conftest import Screen


def entered(screen: Screen, role: str = "administrator", name: str = "root") -> Screen:
    """The screen of a person who is logged in."""
    from tests.dashboard.people import as_role

    value = as_role(role, name=name).cookies["mailweir_session"].value
    cookie = {"name": "mailweir_session", "value": value, "url": f"http://{screen.address}"}
    screen.page.context.add_cookies([cookie])  # type: ignore[list-item]
    return screen


def something_of_everything() -> int:
    """Gives the number of a person."""
    from django_otp.plugins.otp_totp.models import TOTPDevice

    from queueapp.access import actions, people, refusals
    from tests.access.by import by
    from tests.dashboard.people import a_person, logged_in

    person = a_person("carla", "campaigns", "bodies")
    TOTPDevice.objects.create(user=person, confirmed=True)
    logged_in(person, HTTP_USER_AGENT="Firefox/140.0 (Linux)")
    people.deactivate(by(), a_person("gone"))
    people.create(by(), "newcomer", "operator")
    actions.create_api_key("webshop", ["submit", "read"], actor=by())
    actions.create_api_key("old", ["submit"], actor=by())
    actions.revoke_api_key("old", actor=by())
    actions.create_smtp_login("printer", actor=by())
    refusals.note("user:carla", "192.0.2.4", "http.get", "/messages/1/source", {"needs": "bodies"})
    return int(person.pk)


def asks_first(page: Page, button: str, heading: str) -> None:
    """Nothing is sent before the dialog is confirmed; Escape takes it back."""
    sent: list[str] = []
    page.on("request", lambda request: request.method == "POST" and sent.append(request.url))
    page.click(button)
    dialog = page.locator("dialog[open]")
    expect(dialog.get_by_role("heading")).to_have_text(heading)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert sent == []


def test_revoking_a_key_asks_first(stranger: Screen) -> None:
    from queueapp.models import ApiKey

    something_of_everything()
    page = entered(stranger).open_live("/keys")
    asks_first(page, "[aria-label='Revoke the key webshop']", "Revoke the key webshop?")
    assert ApiKey.objects.get(name="webshop").revoked_at is None
    page.click("[aria-label='Revoke the key webshop']")
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector("text=webshop is revoked")
    assert ApiKey.objects.get(name="webshop").revoked_at is not None
    assert stranger.complaints == []


@pytest.mark.parametrize("path", ["/account", "person", "/keys"])
def test_every_destructive_control_opens_a_dialog(stranger: Screen, path: str) -> None:
    from tests.dashboard.people import logged_in

    number = something_of_everything()
    entered(stranger)
    if path == "/account":
        from django.contrib.auth.models import User

        logged_in(User.objects.get(username="root"))
    page = stranger.open_live(f"/people/{number}" if path == "person" else path)
    controls = page.locator("[data-destructive]")
    assert controls.count() >= 2
    for n in range(controls.count()):
        controls.nth(n).click()
        expect(page.locator("dialog[open] form[method=post]")).to_have_count(1)
        page.locator("dialog[open] [data-closes]").click()
        expect(page.locator("dialog[open]")).to_have_count(0)
    forms = page.locator("form[method=post]:has(.btn-danger)")
    inside = page.locator("dialog form[method=post]:has(.btn-danger)")
    assert forms.count() == inside.count(), "a dangerous button stands outside a dialog"


def test_a_second_factor_from_set_up_to_log_in(stranger: Screen) -> None:
    from tests.dashboard.auth.test_second_factor import code_of
    from tests.dashboard.people import PASSWORD

    page = entered(stranger, "operator", "otto").open_live("/account/totp")
    shown = page.evaluate(
        "document.querySelector('.qr').complete && document.querySelector('.qr').naturalWidth"
    )
    assert shown > 100, "the picture was not drawn"
    from django.contrib.auth.models import User

    user = User.objects.get(username="otto")
    page.fill("#code", code_of(user))
    page.fill("#password", PASSWORD)
    page.click("text=Turn it on")
    page.wait_for_selector("#codes")
    code = page.inner_text("#codes").split()[0]
    page.context.clear_cookies()
    page = stranger.open("/deliveries")
    page.fill("#id_username", "otto")
    page.fill("#id_password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/login/code**")
    page.fill("#code", code)
    page.keyboard.press("Enter")
    page.wait_for_url("**/deliveries")
    assert [said for said in stranger.complaints if "policy" in said] == []


def test_the_audit_is_searched_without_leaving_the_page(stranger: Screen) -> None:
    something_of_everything()
    page = entered(stranger).open_live("/audit")
    page.fill("#who", "carla")
    page.select_option("#refused", "yes")
    page.keyboard.press("Tab")
    page.click("text=Search")
    page.wait_for_url(re.compile("who=carla"))
    expect(page.locator("#results tbody tr")).to_have_count(1)
    assert page.input_value("#who") == "carla"
    with page.expect_download() as download:
        page.click("text=JSON lines")
    lines = download.value.path().read_text().splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["needs bodies"]
    assert stranger.complaints == []


@needs_axe
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_they_are_accessible_and_fit_a_telephone(stranger: Screen, theme: str) -> None:
    number = something_of_everything()
    page = entered(stranger).page
    page.add_init_script(f"localStorage.setItem('mailweir-theme', '{theme}')")
    told = []
    paths = ("/account", "/account/totp", "/people", f"/people/{number}", "/keys", "/audit", "/audit?from=x")
    for path in paths:
        stranger.open(path)
        told += [(path, each["id"], each["where"]) for each in violations(page)]
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"http://{stranger.address}/keys")
    page.click("[aria-label='Revoke the key webshop']")
    told += [("dialog", each["id"], each["where"]) for each in violations(page)]
    assert not told, json.dumps(told, indent=1)
