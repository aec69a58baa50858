"""Alerts in Chromium: every page hears of them within two seconds, once, and nobody's focus is taken."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from queueapp import events
from tests.browser.conftest import Screen
from tests.dashboard.alerts import a_group, an_alert
from tests.dashboard.rows import HOSTILE

if TYPE_CHECKING:
    from playwright.sync_api import Page

IN_TIME = 2.0  # seconds from the commit to what is seen
HAS_HEARD = "() => localStorage.getItem('mailweir-alerts-told') !== null"
LISTENS = "window.rang = 0; document.addEventListener('mailweir:rang', () => { window.rang += 1; });"


def fire(title: str, **values: object) -> None:
    an_alert(title, **values)
    events.publish("alerts")


def test_every_page_hears_of_an_alert_once(screen: Screen) -> None:
    page = screen.open_live("/deliveries")
    page.evaluate("localStorage.setItem('mailweir-sound', 'on')")
    with page.expect_popup() as opened:
        page.evaluate("() => { window.open('/', 'second'); }")
    other: Page = opened.value
    other.wait_for_selector("[data-live-state=live]")
    for each in (page, other):
        each.evaluate(LISTENS)
        each.wait_for_function(HAS_HEARD)
    page.bring_to_front()
    page.focus("main [type=search]")
    page.keyboard.type("half a se")
    page.wait_for_timeout(1100)  # past the second in which the last snapshot came
    began = time.monotonic()
    group = a_group("Queue clogged: 3 domains, one cause")
    for n in range(3):
        an_alert(f"Domain {n} is late", group=group)
    events.publish("alerts")
    page.wait_for_function("() => document.title.startsWith('(1) ')")
    expect(other.locator("#alert-strip")).to_contain_text(group.title)
    assert time.monotonic() - began < IN_TIME
    assert page.title() == "(1) Deliveries · Mailweir"
    assert other.title() == "(1) Overview · Mailweir"
    expect(page.locator(".places [data-alert-count]")).to_have_text("1")
    # Nothing was taken from who was typing.
    page.keyboard.type("ntence")
    assert page.input_value("main [type=search]") == "half a sentence"
    assert page.get_attribute("#toasts", "aria-live") == "polite"
    # One of both tabs rang and told, and it told of the cause, not of each domain.
    page.wait_for_timeout(1000)  # longer than a tab behind waits before it tells
    assert page.evaluate("rang") + other.evaluate("rang") == 1
    told = [each for tab in (page, other) for each in tab.locator(".toast-alert a").all_inner_texts()]
    assert told == [group.title]
    other.close()
    # What was told is not told again on the next page; the number stays.
    screen.open_live("/operations")
    page.wait_for_function("() => document.title.startsWith('(1) ')")
    expect(page.locator(".toast-alert")).to_have_count(0)
    # Text is text, also of a stranger.
    fire(HOSTILE, severity="warning")
    expect(page.locator(".toast-alert a")).to_have_text(HOSTILE)
    page.click(".toast-alert [data-dismiss]")
    expect(page.locator(".toast-alert")).to_have_count(0)
    assert page.title() == "(2) Operations · Mailweir"
    assert screen.complaints == []


def test_sound_is_off_until_somebody_switches_it_on(screen: Screen) -> None:
    page = screen.open_live("/account")
    page.evaluate(LISTENS)
    page.wait_for_function(HAS_HEARD)
    assert not page.is_checked("#sound")
    fire("First")
    expect(page.locator(".toast-alert")).to_have_count(1)
    assert page.evaluate("rang") == 0
    page.check("#sound")
    assert page.evaluate("rang") == 1, "it is heard what was chosen"
    fire("Second")
    page.wait_for_function("() => window.rang === 2")
    screen.open("/account")
    assert page.is_checked("#sound")
    assert screen.complaints == []
