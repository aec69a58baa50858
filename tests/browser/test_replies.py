"""The page of replies in a browser: an answer without a new page, a search while typing, a line tried."""

from __future__ import annotations

from tests.browser import pages
from tests.browser.conftest import Screen


def test_a_reply_is_told_and_a_line_is_tried_and_switched_on(operator: Screen) -> None:
    pages.rows()  # replies that say: Greylisted
    page = operator.open_live("/replies")
    page.fill("#reply", "550 5.7.1 blocked using zen.spamhaus.org")
    page.click(".meaning button")
    page.wait_for_selector("#meaning :text('pattern:spamhaus')")
    assert page.url.endswith("/replies")
    page.fill("#q", "greylisting in action")
    page.wait_for_selector("#lines-title:text-is('1 line')")
    page.wait_for_url("**/replies?q=greylisting*")
    page.click("text=A line of your own")
    page.fill("#name", "partner")
    page.select_option("#class", "rate_limited")
    page.fill("#texts", "greylist")
    page.click("button[value=try]")
    page.wait_for_selector(".trial-sum")
    assert page.input_value("#texts") == "greylist"
    page.click("button[value=on]")
    page.wait_for_selector("h1:text('own:partner')")
    assert page.locator(".replies-head .state").inner_text().strip() == "on"
    assert operator.complaints == []
