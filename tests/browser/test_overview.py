"""The overview in Chromium: what a reader sees, and when."""

from __future__ import annotations

import socket
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from dashboard.web import server
from queueapp import events
from tests.browser.conftest import Screen
from tests.dashboard.rows import HOSTILE, a_delivery, a_domain, a_runner, an_attempt, now

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PIXEL = 1.5  # seconds from a change to what is seen (issue: "Shows" 7)


def some_rows() -> None:
    a_runner()
    an_attempt(
        a_delivery(state="deferred", last_class="busy", last_code=421, last_text="Too many connections")
    )


def test_it_works(screen: Screen) -> None:
    some_rows()
    page = screen.open_live()
    assert page.title() == "Overview · Mailweir"
    assert page.inner_text("[data-depth=deferred]") == "1"
    assert "1 delivery waits" in page.inner_text("#headline")
    expect(page.locator("#domains tr")).to_have_count(1)
    assert page.evaluate("window.Chart.getChart('hour-chart').data.datasets.length") == 4
    assert screen.complaints == []


@pytest.mark.timed
def test_it_shows_a_change_within_a_second_and_a_half(screen: Screen) -> None:
    some_rows()
    page = screen.open_live()
    page.wait_for_timeout(1500)  # past the second in which the page's own snapshot came
    began = time.monotonic()
    a_delivery(domain="new.example")
    events.publish("deliveries")
    page.wait_for_selector("[data-depth=queued]:text-is('1')")
    page.wait_for_selector("#domains >> text=new.example")
    assert time.monotonic() - began < PIXEL
    assert screen.complaints == []


def test_it_replaces_the_first_steps_by_the_queue(screen: Screen) -> None:
    page = screen.open_live()
    assert page.is_visible("text=Send the first mail")
    some_rows()
    events.publish("deliveries")
    page.wait_for_selector("text=Where mail waits")
    assert page.is_hidden("text=Send the first mail")
    assert page.locator("#hour-chart").bounding_box()["height"] > 150  # type: ignore[index]


def test_it_moves_no_row_under_the_pointer(screen: Screen) -> None:
    a_domain("first.example", n_queued=10)
    a_domain("second.example", n_queued=5)
    page = screen.open_live()
    page.wait_for_timeout(1100)
    page.hover("#domains tr:nth-child(2)")
    third = a_domain("third.example", n_queued=50)
    type(third).objects.filter(name="second.example").update(n_queued=99)
    events.publish("deliveries")
    page.wait_for_selector("text=1 new, show")
    names = page.locator("#domains [data-text=name]").all_inner_texts()
    assert names == ["first.example", "second.example"]
    assert page.inner_text("#domains tr:nth-child(2) [data-number=n_open]") == "99"
    page.mouse.move(5, 5)
    page.wait_for_selector("#domains >> text=third.example")
    names = page.locator("#domains [data-text=name]").all_inner_texts()
    assert names == ["second.example", "third.example", "first.example"]


def test_it_keeps_still_while_paused(screen: Screen) -> None:
    page = screen.open_live()
    page.click("#pause")
    assert page.inner_text("[data-live-part=word]") == "Paused"
    some_rows()
    events.publish("deliveries")
    page.wait_for_timeout(1800)
    assert page.is_visible("text=Send the first mail")
    page.click("#pause")
    page.wait_for_selector("text=Where mail waits")
    assert page.inner_text("[data-live-part=word]") == "Live"


def test_it_says_since_when_it_is_stale_and_comes_back(screen: Screen) -> None:
    some_rows()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    is_ready = threading.Event()
    web = server(is_ready.set)
    thread = threading.Thread(target=web.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    assert is_ready.wait(30)
    page = screen.page
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_selector("[data-live-state=live]")
    web.should_exit = True
    thread.join(15)
    listening.close()
    page.wait_for_selector("#stale:visible")
    said = page.inner_text("#stale")
    assert "Connection lost since " in said
    assert "figures are stale" in said
    again = socket.create_server(("127.0.0.1", port))
    is_ready.clear()
    web = server(is_ready.set)
    thread = threading.Thread(target=web.run, kwargs={"sockets": [again]}, daemon=True)
    thread.start()
    page.wait_for_selector("[data-live-state=live]", timeout=20_000)
    assert page.is_hidden("#stale")
    web.should_exit = True
    thread.join(15)
    again.close()


def test_it_shows_hostile_text_as_text(screen: Screen) -> None:
    page = screen.open_live()
    evil = {"recipient": HOSTILE, "state": "deferred", "last_class": "other", "last_text": HOSTILE}
    an_attempt(a_delivery(domain="evil.example", **evil), text=HOSTILE)
    a_domain(HOSTILE, n_deferred=3, due_at=now() + timedelta(minutes=5))
    events.publish("deliveries")
    page.wait_for_selector("#domains >> text=<script>")
    assert page.locator("main img[src=x]").count() == 0
    page.reload()
    page.wait_for_selector("[data-live-state=live]")
    assert page.locator("main img[src=x]").count() == 0
    assert screen.complaints == []


def test_it_shows_times_in_the_readers_zone(screen: Screen) -> None:
    at = now().replace(microsecond=0)
    an_attempt(a_delivery(), at=at)
    page = screen.open_live()
    time_shown = page.locator("#latest time").first
    assert time_shown.get_attribute("title").endswith(f"{at:%F %T} UTC")  # type: ignore[union-attr]
    berlin = page.evaluate("iso => new Date(iso).toLocaleTimeString('en-GB')", at.isoformat())
    expect(time_shown).to_have_text(berlin)


def test_it_has_the_figures_of_the_chart_as_a_table(screen: Screen) -> None:
    some_rows()
    page = screen.open_live()
    page.click("text=The figures as a table")
    expect(page.locator("#hour-table tr")).to_have_count(60)


def test_it_asks_for_the_log_in_when_the_session_ended(screen: Screen) -> None:
    page = screen.open_live()
    page.context.clear_cookies()
    page.evaluate("window.dispatchEvent(new Event('offline'))")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_url("**/login?next=/", timeout=20_000)


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_it_fits_the_screen(screen: Screen, width: int) -> None:
    a_domain("a-very-long-name-" * 8 + ".example", n_deferred=12_345_678, n_delivered=123_456_789)
    an_attempt(a_delivery(recipient="x" * 64 + "@" + "y" * 150 + ".example"), text="4" * 900)
    screen.page.set_viewport_size({"width": width, "height": 844})
    page = screen.open_live()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_serves_more_than_one_reader(browser: Browser, screen: Screen) -> None:
    first = screen.open_live()
    second = browser.new_context(storage_state=first.context.storage_state()).new_page()
    second.goto(f"http://{screen.address}/")
    second.wait_for_selector("[data-live-state=live]")
    some_rows()
    events.publish("deliveries")
    for page in (first, second):
        page.wait_for_selector("text=Where mail waits")
    second.context.close()
