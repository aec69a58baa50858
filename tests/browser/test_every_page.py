"""All pages, one after another: axe-core in both themes and at 390 px, and no violated policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queueapp import conf
from tests.browser import pages
from tests.browser.axe import needs_axe, violations
from tests.browser.conftest import WIDE, Screen
from tests.browser.test_hostile import in_sandbox

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
@pytest.mark.timeout(600)
def test_every_page_is_accessible_and_fits(operator: Screen, tmp_path: Path) -> None:
    page, wrong = operator.page, {}
    page.emulate_media(reduced_motion="reduce")  # colours that change slowly are none yet
    with conf.override(home=tmp_path):
        paths = [f"/sandbox/{in_sandbox(pages.HTML)}", *pages.visited()[0]]
        paths += [*pages.strangers()]
        for path in paths:
            if path in pages.strangers():
                page.context.clear_cookies()
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
