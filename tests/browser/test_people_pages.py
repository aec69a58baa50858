"""Account, people, keys and audit in Chromium: the questions before what can't be undone, the second
factor, the search of the audit.
"""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect

from tests.browser import pages
from tests.browser.axe import needs_axe, violations
from tests.browser.conftest import Screen


def entered(screen: Screen, role: str = "administrator", name: str = "root") -> Screen:
    """The screen of a person who is logged in."""
    from tests.dashboard.people import as_role

    value = as_role(role, name=name).cookies["mailweir_session"].value
    cookie = {"name": "mailweir_session", "value": value, "url": f"http://{screen.address}"}
    screen.page.context.add_cookies([cookie])  # type: ignore[list-item]
    return screen


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


@needs_axe
def test_revoking_a_key_asks_first(stranger: Screen) -> None:
    from queueapp.models import ApiKey

    pages.people()
    page = entered(stranger).open_live("/keys")
    asks_first(page, "[aria-label='Revoke the key webshop']", "Revoke the key webshop?")
    page.emulate_media(reduced_motion="reduce")
    assert ApiKey.objects.get(name="webshop").revoked_at is None
    page.click("[aria-label='Revoke the key webshop']")
    assert violations(page) == []
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector("text=webshop is revoked")
    assert ApiKey.objects.get(name="webshop").revoked_at is not None
    assert stranger.complaints == []


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
    pages.people()
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
