"""Why it is stuck, in a real browser: it comes by itself, leads to the proof, and to the form that helps."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Screen
from tests.watch.diagnosis.queue import deferred, looked

NARROW = {"width": 390, "height": 844}


def test_the_cause_comes_by_itself_and_leads_to_proof_and_form(operator: Screen) -> None:
    page = operator.open_live("/")
    expect(page.locator("#why")).to_be_hidden()
    deferred(3, "450 4.7.1 Greylisted, come back", "greylisted")
    deferred(9, "421 4.7.28 unusual rate of mail", "rate_limited", "b.example")
    looked()
    first = page.locator("#why-causes li").first
    expect(first).to_contain_text("The receiver limits our rate", timeout=30_000)
    expect(first).to_contain_text("9 deliveries wait")
    expect(page.locator("#why-causes li")).to_have_count(2)
    first.locator("a").first.click()
    page.wait_for_url("**/diagnosis#rate_limit")
    card = page.locator("#rate_limit")
    expect(card).to_contain_text("421 4.7.28 unusual rate of mail")
    card.locator("a[data-dialog]").first.click()
    expect(page.locator("#sheet")).to_contain_text("Limits of mx.b.example")
    page.keyboard.press("Escape")
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    for path in ("/", "/diagnosis", "/diagnosis?scope=domain", "/domains/b.example"):
        operator.open(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], path
    assert operator.complaints == []
