"""What destroys asks first, on every page, and whatever things are called: nothing runs, nothing goes out.

The controls are found in the pages themselves. A form that changes something asks in a dialog, or it is
listed below with what makes it harmless; a route that only takes POST and is in no page fails the test. So
a new control can't be forgotten.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from django.urls import Resolver404, resolve

from queueapp import events
from queueapp.models import RecipientDomain
from tests.browser import hostile_words, pages
from tests.browser.conftest import Screen
from tests.dashboard.alerts import an_alert
from tests.dashboard.rows import HOSTILE

if TYPE_CHECKING:
    from playwright.sync_api import Locator

# What is sent without a question: it makes or adds something, changes what can be changed back, or is one's
# own and asks for the password.
HARMLESS = {
    "people", "keys", "routes", "silences", "view-save", "reply-rule-new", "rule-new", "alert-rule-new",
    "alert-acknowledge", "alert-test", "blocklists-check", "copy-to-sandbox", "replies",
    "alert-rule", "alert-rule-switch", "reply-rule", "reply-rule-switch", "rule", "rule-switch",
    "view-change", "person-role", "person-activate",
    "logout", "login", "welcome", "account-password", "totp",
}  # fmt: skip
# Done by scripts that open a dialog of their own: tests/browser/test_bulk.py.
BY_SCRIPT = {"bulk-ask", "bulk-start"}
# What the browser would run or fetch, had a word become markup. Of ours are only files of ours.
BAD = """[...document.querySelectorAll("body script, img, iframe, base, object, embed, [onerror], [onload]")]
    .filter(node => !node.matches("iframe[sandbox].mail-html, .qr, [src^='/static/'], [type$=json]"))
    .map(node => node.outerHTML.slice(0, 100))"""
FORMS = """() => [...document.forms].filter(form => form.method === "post").map(form => {
    const sends = [...form.querySelectorAll("button:not([type=button])")];
    const isIn = form.closest("dialog") !== null;
    return {
        action: form.getAttribute("action") || location.pathname,
        asks: isIn || sends.every(each => each.matches("[data-destructive]")),
        isLoud: !isIn && sends.some(each => each.matches(".btn-danger")),
    };
})"""


def name_of(url: str) -> str:
    """Empty where no page is."""
    try:
        return str(resolve(urlsplit(url).path).url_name)
    except Resolver404:
        return ""


class Walk:
    """What was met on the way, and what was wrong with it."""

    def __init__(self, screen: Screen) -> None:
        self.page, self.screen = screen.page, screen
        self.met: set[str] = set()  # names of routes that a page has a form or a link for
        self.asked: list[str] = []  # headings of dialogs
        self.opened: set[str] = set()  # names of the dialogs' pages
        self.wrong: dict[str, list[str]] = {}
        self.page.on("dialog", lambda box: (self.note("alert", box.message), box.dismiss()))
        self.page.on("request", self._sent)

    def note(self, where: str, what: str) -> None:
        self.wrong.setdefault(where, []).append(what)

    def _sent(self, request: object) -> None:
        method, url = getattr(request, "method", ""), str(getattr(request, "url", ""))
        if method == "POST" and not url.endswith("/bulk/ask"):
            self.note("sent without an answer", url)
        # What a mail's own frame asks for is told although it is refused: tests/browser/test_hostile.py.
        if not url.startswith((f"http://{self.screen.address}/", "data:")) and "track.png" not in url:
            self.note("fetched", url)

    def visit(self, path: str) -> None:
        page = self.page
        answer = page.goto(f"http://{self.screen.address}{path}")
        if answer is None or answer.status >= 500:
            self.note(path, "the page broke")
        self.forms(path)
        if page.locator("input.tick").count():
            page.wait_for_selector("[data-live-state=live]")
            page.locator("input.tick").first.check()
        for control in page.locator("[data-destructive]").all():
            self.click(path, control)
        for link in page.locator("a[data-dialog]").all():
            name = name_of(str(link.get_attribute("href") or "/"))
            self.met.add(name)
            if name not in self.opened and self.click(path, link):
                self.opened.add(name)
        self.look(path)

    def forms(self, path: str) -> None:
        for form in self.page.evaluate(FORMS):
            name = name_of(form["action"])
            self.met.add(name)
            is_question = name == name_of(path)  # a page that is the form, with its way back
            if form["isLoud"] and not is_question:
                self.note(path, f"a dangerous button to {name} stands outside a dialog")
            if not form["asks"] and not is_question and name not in HARMLESS:
                self.note(path, f"the form to {name} is sent without a question")

    def click(self, path: str, control: Locator) -> bool:
        closed = control.locator("xpath=ancestor::details[not(@open)]")
        while closed.count():  # the outermost first; those that are open fall out of it
            closed.first.locator("summary").first.click()
        menu = control.locator(
            "xpath=ancestor::div[contains(@class, 'dropdown-menu')][not(contains(@class, 'show'))]"
        )
        if menu.count():
            menu.locator("xpath=preceding-sibling::button").click()
        if not control.is_visible():
            return False  # the bar of a list that is empty, an act that its row does not need
        control.evaluate("node => { if (node.form) node.form.noValidate = true; }")
        control.click()
        self.page.wait_for_selector("dialog[open] h2:not(:empty)")
        assert self.page.url.endswith(path), f"{path}: it went on without asking"
        self.asked.append(f"{path} {self.page.inner_text('dialog[open] h2')}")
        self.page.keyboard.press("Escape")
        self.page.wait_for_selector("dialog[open]", state="detached")
        return True

    def look(self, path: str) -> None:
        for found in self.page.evaluate(BAD):
            self.note(path, found)


@pytest.mark.timeout(600)  # a minute, where nothing else runs beside it
def test_it_asks_first_and_words_stay_words(operator: Screen) -> None:
    paths, posts = pages.visited()
    from django.contrib.auth.models import User
    from django_otp.plugins.otp_totp.models import TOTPDevice

    TOTPDevice.objects.create(user=User.objects.get(username="ada"), confirmed=True)
    assert hostile_words.write() > 60
    walk = Walk(operator)
    for path in paths:
        walk.visit(path)
    it_is_the_same_live(operator, walk)
    frame = (
        "track.png",
        "script",
        "Failed to load resource",
    )  # of the mail's own frame, and of /nothing-here
    for said in operator.complaints:
        if not any(each in said for each in frame):
            walk.note("console", said)
    missing = posts - walk.met - HARMLESS - BY_SCRIPT
    assert not walk.wrong, json.dumps(walk.wrong, indent=1)
    assert not missing, (
        f"no page has a control for {missing}: add the rows that show it to tests/browser/pages.py"
    )
    assert len(walk.asked) >= 40, walk.asked
    assert {"effect-lift", "site-lift", "suspension-lift", "domain-suspend", "rule-delete"} <= walk.opened


def it_is_the_same_live(screen: Screen, walk: Walk) -> None:
    """What scripts draw from the socket: rows, reasons, toasts, tooltips of charts."""
    for path in ("/", "/board", "/board?by=site&view=shape", "/domains/suspended.example", "/alerts"):
        page = screen.open_live(path)
        RecipientDomain.objects.filter(name="suspended.example").update(
            n_queued=777, suspended_reason=HOSTILE
        )
        events.publish("deliveries")
        page.wait_for_timeout(1100)
        walk.look(path)
    page = screen.open_live("/")
    page.wait_for_function("() => localStorage.getItem('mailweir-alerts-told') !== null")
    page.hover("canvas")
    an_alert(HOSTILE, label=HOSTILE, rule_name=HOSTILE, key="all:new")
    events.publish("alerts")
    page.wait_for_selector(".toast-alert a")
    assert "<script>" in page.inner_text(".toasts")
    assert "<script>" in page.inner_text("#alert-strip")
    walk.look("live")
