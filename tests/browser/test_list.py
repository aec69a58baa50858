"""The list in Chromium: completion by keyboard, sorting and dropping filters without leaving the page."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.axe import needs_axe, violations
from tests.browser.conftest import Screen
from tests.dashboard.rows import a_delivery, a_domain, a_message

LONG = 30_000  # ms


def test_the_keyboard_completes_searches_sorts_and_goes_back(screen: Screen) -> None:
    for n, state in enumerate(("deferred", "held", "deferred")):
        a_delivery(a_message(size=100_000 + n), f"{n}.example", state=state, last_class="busy")
    a_domain("gmail.example")
    page = screen.open("/deliveries")
    field = page.get_by_role("combobox", name="Search deliveries")
    field.press_sequentially("sta")
    expect(page.get_by_role("option", name="state:")).to_be_visible(timeout=LONG)
    field.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", "q-completions-0")
    field.press("Enter")  # takes the key, and asks for its values
    expect(field).to_have_value("state:")
    field.press_sequentially("def")
    expect(page.get_by_role("option", name="deferred")).to_be_visible(timeout=LONG)
    field.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    field.press("ArrowDown")
    expect(page.locator("#q-completions [role=option]")).to_have_count(1, timeout=LONG)
    expect(page.get_by_role("listbox")).to_be_visible(timeout=LONG)
    field.press("ArrowDown")
    field.press("Enter")
    expect(field).to_have_value("state:deferred ")
    field.press("Enter")  # nothing is walked to: it searches
    expect(page.locator("#results tbody tr")).to_have_count(2, timeout=LONG)
    expect(page.locator("#results-said")).to_have_text("2 deliveries", timeout=LONG)
    page.locator("th.c-size a").click()
    page.wait_for_url(re.compile("order=-size"), timeout=LONG)
    expect(page.locator("th.c-size")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("link", name="Drop the filter state:deferred").click()
    expect(page.locator("#results tbody tr")).to_have_count(3, timeout=LONG)
    expect(field).to_have_value("")
    page.go_back()
    expect(page.locator("#results tbody tr")).to_have_count(2, timeout=LONG)
    assert screen.complaints == []


@needs_axe
def test_the_tools_of_the_list_are_accessible_and_narrow(screen: Screen) -> None:
    a_delivery(state="deferred", last_class="busy", last_text="450 4.7.1 Greylisted")
    page = screen.open("/deliveries?q=state:deferred")
    for width, scheme in ((1280, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        # Without motion: colours that are on their way to those of the theme are none of either.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.wait_for_selector(f"html[data-bs-theme={scheme}]", timeout=LONG)
        for tool in ("views", "filter", "group"):
            page.locator(f"#tool-{tool} > summary").click()
            expect(page.locator(f"#tool-{tool} > .tool-body")).to_be_visible()
            assert [each["id"] for each in violations(page)] == [], (width, tool)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert screen.complaints == []
