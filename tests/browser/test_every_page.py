"""All pages, one after another: axe-core in both themes and at 390 px, no violated policy, and a dialog
before everything that destroys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.browser import pages
from tests.browser.axe import needs_axe, violations
from tests.browser.conftest import WIDE, Screen

if TYPE_CHECKING:
    from playwright.sync_api import Page

DRESS = """theme => {
    localStorage.setItem("mailweir-theme", theme);
    document.documentElement.dataset.bsTheme = theme;
}"""
NARROW = {"width": 390, "height": 844}
LOOKS = (("light", WIDE), ("dark", WIDE), ("light", NARROW))


def dress(page: Page, theme: str) -> None:
    page.evaluate(DRESS, theme)


@needs_axe
@pytest.mark.timeout(240)
def test_every_page_is_accessible_and_fits(operator: Screen) -> None:
    page, wrong = operator.page, {}
    page.emulate_media(reduced_motion="reduce")  # colours that change slowly are none yet
    for path in pages.addresses():
        operator.open(path)
        for theme, size in LOOKS:
            page.set_viewport_size(size)  # type: ignore[arg-type]
            dress(page, theme)
            if found := violations(page):
                wrong[f"{path} {theme} {size['width']}"] = found
        if page.evaluate("document.documentElement.scrollWidth") > NARROW["width"]:
            wrong[f"{path} {NARROW['width']}"] = ["does not fit"]
    assert not wrong, json.dumps(wrong, indent=1)
    assert [said for said in operator.complaints if "policy" in said and "track.png" not in said] == []


@needs_axe
def test_the_ways_to_act_are_accessible(operator: Screen) -> None:
    pages.rows()
    operator.page.emulate_media(reduced_motion="reduce")
    page, wrong = operator.open_live("/deliveries"), {}
    page.check(".tick-all")
    for name, press in (
        ("bar", None),
        ("dialog", "#bar [data-action=delete]"),
        ("mistake", "#ask button[type=submit]"),
    ):
        if press:
            page.click(press)
            page.wait_for_selector("#ask .field-error" if name == "mistake" else "#ask input[name=reason]")
        for theme in ("light", "dark"):
            dress(page, theme)
            if found := violations(page):
                wrong[f"{name} {theme}"] = found
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    wrong |= {"keys": found} if (found := violations(page)) else {}
    assert not wrong, json.dumps(wrong, indent=1)


def test_everything_that_destroys_asks_first(operator: Screen) -> None:
    """Clicks each `data-destructive` on every page, and must meet a dialog with a title and a way out."""
    page, met = operator.page, []
    for path in pages.addresses():
        operator.open(path)
        page.wait_for_load_state()
        if page.locator("input.tick").count():
            page.wait_for_selector("[data-live-state=live]")
            page.locator("input.tick").first.check()
        for place in range(page.locator("[data-destructive]").count()):
            control = page.locator("[data-destructive]").nth(place)
            for menu in control.locator("xpath=ancestor::details[not(@open)]").all():
                menu.locator("summary").first.click()
            if not control.is_visible():
                continue  # the bar of a list that is empty
            control.evaluate("node => { if (node.form) node.form.noValidate = true; }")
            control.click()
            page.wait_for_selector("dialog[open] h2:not(:empty)")
            assert page.url.endswith(path), f"{path}: it went on without asking"
            met.append(f"{path} {page.inner_text('dialog[open] h2')}")
            page.keyboard.press("Escape")
            page.wait_for_selector("dialog[open]", state="detached")
    assert len(met) >= 4, met
