"""The page never steals: ticks, typed text, focus, scroll and order stay while the queue changes.

Two hundred changes a second for some seconds; for a whole minute with MAILWEIR_TEST_LONG=1.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from queueapp import events
from queueapp.models import Delivery, RecipientDomain
from tests.browser.conftest import Screen
from tests.dashboard.rows import a_delivery, a_message, now

if TYPE_CHECKING:
    from playwright.sync_api import Page

SECONDS = 60 if os.environ.get("MAILWEIR_TEST_LONG") else 4
PER_S = 200
SEEN = """() => ({
    rows: [...document.querySelectorAll("#results tr[data-id]")].map(row => row.dataset.id).join(),
    ticks: [...document.querySelectorAll("input.tick:checked")].map(box => box.value).join(),
    typed: document.getElementById("q").value,
    caret: document.getElementById("q").selectionStart,
    focus: document.activeElement.id,
    scroll: window.scrollY,
    top: Math.round(document.querySelector("#results tr[data-id]").getBoundingClientRect().top),
})"""


def some_rows(n: int) -> list[int]:
    message = a_message()
    return [
        a_delivery(message, recipient=f"r{number}@example.com", state="deferred").pk for number in range(n)
    ]


@contextmanager
def flood(ids: list[int]) -> Iterator[dict[str, Any]]:
    """Changes rows that are shown, and adds new ones, each told at once; `told["n"]` counts."""
    told: dict[str, Any] = {"n": 0}
    ended = threading.Event()

    def change() -> None:
        from django.db import connection

        message = a_message()
        domain = RecipientDomain.objects.get()
        began = time.monotonic()
        while not ended.wait(max(0.0, began + told["n"] / PER_S - time.monotonic())):
            number = told["n"]
            if number % 20 == 0:
                a_delivery(message, domain.name, recipient=f"new{number}@example.com")
            else:
                Delivery.objects.filter(pk=ids[number % len(ids)]).update(
                    n_attempts=number, last_text=f"Try {number}", last_attempt_at=now()
                )
            events.publish("deliveries")
            told["n"] = number + 1
        connection.close()

    writer = threading.Thread(target=change, daemon=True)
    writer.start()
    try:
        yield told
    finally:
        ended.set()
        writer.join(30)
        assert not writer.is_alive()


def kept(page: Page, seconds: float) -> None:
    before = page.evaluate(SEEN)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        page.wait_for_timeout(250)
        assert page.evaluate(SEEN) == before


def test_nothing_moves_while_five_are_ticked_and_a_dialog_is_open(operator: Screen) -> None:
    screen = operator
    ids = some_rows(40)
    screen.page.emulate_media(reduced_motion="reduce")  # scrolling that ends where it begins to be looked at
    page = screen.open_live("/deliveries")
    boxes = page.locator("input.tick")
    for place in (1, 3, 5, 8, 13):
        boxes.nth(place).check()
    page.fill("#q", "state:def")
    page.evaluate("window.scrollTo(0, 60)")
    with flood(ids) as told:
        kept(page, SECONDS / 2)
        expect(page.locator("#live")).to_have_attribute("data-live-state", "still")
        assert "5 ticked" in page.inner_text("[data-live-part=age]")
        page.click("#bar [data-action=hold]")
        page.wait_for_selector("#ask input[name=token]", state="attached")
        page.keyboard.type("half a rea")
        kept(page, SECONDS / 2)
        assert page.input_value("#ask-reason") == "half a rea"
        page.keyboard.press("Escape")
        assert told["n"] > 0
    assert page.evaluate(SEEN)["typed"] == "state:def"
    assert screen.complaints == []


def test_rows_change_in_place_and_new_ones_wait(screen: Screen) -> None:
    ids = some_rows(30)
    page = screen.open_live("/deliveries")
    page.hover("#results tbody tr:nth-child(3)")
    page.evaluate("window.third = document.querySelector('#results tbody tr:nth-child(3)')")
    order = page.evaluate(SEEN)["rows"]
    page.fill("#q", "half a filt")
    with flood(ids):
        page.wait_for_selector("#results tbody tr:nth-child(3) >> text=/Try \\d+/", timeout=30_000)
        page.wait_for_selector("#offer:visible", timeout=30_000)
        kept(page, SECONDS / 4)
    assert page.evaluate("window.third.isConnected && window.third.textContent.includes('Try ')")
    assert page.evaluate(SEEN)["rows"] == order
    assert page.inner_text("#offer").endswith("new, show")
    page.click("#offer")
    page.wait_for_selector("#results >> text=new0@example.com")
    expect(page.locator("#offer")).to_be_hidden()
    assert page.input_value("#q") == "half a filt"
    assert screen.complaints == []


def test_selected_text_stays(screen: Screen) -> None:
    ids = some_rows(3)
    page = screen.open_live("/deliveries")
    page.dblclick("#results tbody tr:nth-child(2) .c-message .cause", position={"x": 12, "y": 9})
    expect(page.locator("#live")).to_have_attribute("data-live-state", "still")
    assert "text selected" in page.inner_text("[data-live-part=age]")
    Delivery.objects.filter(pk__in=ids).update(last_text="Changed meanwhile")
    events.publish("deliveries")
    page.wait_for_timeout(1500)
    assert page.evaluate("getSelection().toString()").strip() == "Hello"
    assert "Changed meanwhile" not in page.inner_text("#results")
    page.click("h1")
    page.wait_for_selector("#results >> text=Changed meanwhile")


def test_a_row_that_is_gone_says_so_and_stays(screen: Screen) -> None:
    ids = some_rows(3)
    page = screen.open_live("/deliveries")
    Delivery.objects.filter(pk=ids[1]).delete()
    events.publish("deliveries")
    page.wait_for_selector(f"#d-{ids[1]} >> text=is gone", timeout=30_000)
    assert page.locator("#results tr[data-id]").count() == 3


@pytest.mark.parametrize("mode", ["slower", "paused"])
def test_the_reader_chooses_how_live_it_is(screen: Screen, mode: str) -> None:
    page = screen.open_live("/deliveries")
    page.click(".live-mode")
    page.click(f"#live-modes [data-mode={mode}]")
    page.evaluate(
        "window.told = 0; document.addEventListener('mailweir:snapshot', () => { window.told += 1; })"
    )
    for _ in range(3):
        events.publish("deliveries")
        page.wait_for_timeout(1050)
    assert page.evaluate("window.told") <= (1 if mode == "slower" else 0)
    page.reload()
    page.wait_for_selector("[data-live-state=live]")
    expect(page.locator("[data-live-part=word]")).to_have_text("Slower" if mode == "slower" else "Live")
