"""The other pages in Chromium: log-in, themes, search, mail, accessibility."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from queueapp import events
from queueapp.models import Delivery
from tests.browser.axe import needs_axe, violations
from tests.browser.conftest import Screen
from tests.browser.pages import rows
from tests.dashboard.live import PASSWORD
from tests.dashboard.rows import a_delivery, an_attempt

ADDRESSES = ("/", "/deliveries", "/deliveries?q=state:nonsense", "/sandbox")


def test_it_logs_in_and_out(stranger: Screen) -> None:
    from django.contrib.auth.models import User

    User.objects.create_user("grace", password=PASSWORD)
    page = stranger.open("/deliveries")
    page.fill("#id_username", "grace")
    page.fill("#id_password", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    page.fill("#id_password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/deliveries")
    page.click("[aria-label='Account of grace']")
    page.click("text=Log out")
    page.wait_for_url("**/login")
    assert stranger.complaints == []


def test_it_keeps_the_theme_that_was_chosen(screen: Screen) -> None:
    page = screen.open_live()
    assert page.get_attribute("html", "data-bs-theme") == "light"
    page.click("[aria-label='Colour theme']")
    page.click("#theme [data-theme=dark]")
    assert page.get_attribute("html", "data-bs-theme") == "dark"
    page.reload()
    assert page.get_attribute("html", "data-bs-theme") == "dark"
    page.click("[aria-label='Colour theme']")
    page.click("#theme [data-theme=system]")
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.wait_for_selector(f"html[data-bs-theme={theme}]")


def test_it_searches_without_leaving_the_page(screen: Screen) -> None:
    rows()
    page = screen.open_live("/deliveries")
    page.fill("#q", "state:deferred")
    page.keyboard.press("Enter")
    page.wait_for_url("**/deliveries?q=state%3Adeferred")
    page.wait_for_selector("#results:not(:has-text('b@queued.example'))")
    expect(page.locator("#results tbody tr")).to_have_count(1)
    page.fill("#q", "state:nonsense")
    page.keyboard.press("Enter")
    page.wait_for_selector("#results mark")
    page.go_back()
    page.wait_for_selector("#results >> text=b@deferred.example")
    assert screen.complaints == []


def test_it_locks_the_mail_up(operator: Screen) -> None:
    screen = operator  # a viewer may not read it
    page = screen.open_live(f"/messages/{rows()}")
    frame = page.frame_locator("iframe.mail-html")
    frame.locator("p").wait_for()
    assert "taken over" not in page.title()
    outside = [said for said in screen.complaints if "track.png" not in said and "script" not in said]
    assert outside == []
    assert any("track.png" in said for said in screen.complaints), "the picture from outside was not refused"


def test_it_shows_text_headers_and_source(operator: Screen) -> None:
    page = operator.open_live(f"/messages/{rows()}")
    page.click("#headers-tab")
    assert page.is_visible("#headers-pane >> text=text/html; charset=utf-8")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#text-pane.active")
    with page.expect_popup() as popup:
        page.click("text=Source")
    assert "<script>parent.document.title" in popup.value.inner_text("body")


def test_it_follows_an_open_delivery(screen: Screen) -> None:
    delivery = a_delivery()
    page = screen.open_live(f"/messages/{delivery.message_id}")
    assert page.is_visible("text=Not tried yet.")
    an_attempt(delivery, result="delivered", reply_class="delivered", code=250, text="Taken")
    Delivery.objects.update(state="delivered", last_class="delivered")
    events.publish("deliveries")
    page.wait_for_selector("#recipients >> text=The receiving server took the mail.")
    assert screen.complaints == []


def test_it_jumps_past_the_bar(screen: Screen) -> None:
    page = screen.open_live()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_log_in_fits_a_telephone(screen: Screen) -> None:
    screen.page.context.clear_cookies()
    screen.page.set_viewport_size({"width": 390, "height": 844})
    page = screen.open("/login?next=/deliveries")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@needs_axe
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/login"])
def test_an_empty_overview_and_the_log_in_are_accessible(screen: Screen, path: str, theme: str) -> None:
    """All other pages: test_every_page."""
    page = screen.page
    page.add_init_script(f"localStorage.setItem('mailweir-theme', '{theme}')")
    if path == "/login":
        page.context.clear_cookies()
        screen.open(path)
    else:
        screen.open_live(path)
    told = violations(page)
    assert not told, json.dumps(told, indent=1)
