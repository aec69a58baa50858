"""Acting on many deliveries in Chromium: by mouse, by keyboard alone, against mistakes and second clicks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from playwright.sync_api import expect

from queueapp import events
from queueapp.models import Delivery, Operation, RecipientDomain
from queueapp.operations import run
from tests.browser.conftest import Screen
from tests.dashboard.rows import HOSTILE, a_delivery, a_message

if TYPE_CHECKING:
    from playwright.sync_api import Page


def some(n: int, state: str = "deferred", domain: str = "example.com") -> list[Delivery]:
    message = a_message()
    return [
        a_delivery(message, domain, recipient=f"r{number}@{domain}", state=state, last_text="Later, please")
        for number in range(n)
    ]


def ready(page: Page) -> None:
    """The dialog has counted."""
    page.wait_for_selector("#ask input[name=token]", state="attached")


def work(page: Page) -> None:
    """What a worker does, and the word of it."""
    run.work(10)
    events.publish("operations")


def real(screen: Screen) -> list[str]:
    """Complaints but for the browser's note of an answer that is no 2xx."""
    return [said for said in screen.complaints if "Failed to load resource" not in said]


def test_it_works(operator: Screen) -> None:
    some(6)
    page = operator.open_live("/deliveries")
    page.click("#results tbody tr:nth-child(2) .tick")
    page.click("#results tbody tr:nth-child(4) .tick", modifiers=["Shift"])
    expect(page.locator("#bar")).to_contain_text("3 deliveries ticked")
    page.click("#bar [data-action=delete]")
    expect(page.locator("#ask h2")).to_have_text("Delete 3 deliveries")
    expect(page.locator("#ask button[type=submit]")).to_have_text("Delete 3 deliveries")
    assert "example.com" in page.inner_text("#ask")
    assert "r3@example.com" in page.inner_text("#ask")
    page.click("#ask button[type=submit]")
    expect(page.locator("#ask .field-error")).to_contain_text("Say why")
    assert not Operation.objects.exists()
    page.fill("#ask-reason", "The wrong list")
    page.click("#ask button[type=submit]")
    expect(page.locator("#ask")).to_be_hidden()
    expect(page.locator("#bar")).to_be_hidden()
    expect(page.locator("#operations")).to_contain_text("Delete 3 deliveries")
    work(page)
    expect(page.locator("#operations")).to_contain_text("3 done")
    expect(page.locator("#results tbody tr:nth-child(3)")).to_contain_text("deleted")
    expect(page.locator("#operations")).to_contain_text("Undo (23 h 59 min left)")
    assert Operation.objects.get().reason == "The wrong list"
    page.click("#operations [data-op=undo]")
    expect(page.locator("#operations")).to_contain_text("Undo for 3 deliveries")
    work(page)
    expect(page.locator("#results tbody tr:nth-child(3)")).to_contain_text("deferred")
    assert Delivery.objects.filter(state="deferred").count() == 6
    assert real(operator) == []


def test_it_does_all_that_match_and_nothing_that_came_later(operator: Screen) -> None:
    some(3)
    some(2, "queued", "other.example")
    page = operator.open_live("/deliveries?q=domain:example.com&limit=2")
    page.check(".tick-all")
    page.click("text=Select all 3 that match")
    expect(page.locator("#bar")).to_contain_text("all that match are selected")
    page.click("#bar [data-action=hold]")
    ready(page)
    assert "domain:example.com" in page.inner_text("#ask")
    page.click("#ask button[type=submit]")
    expect(page.locator("#operations")).to_contain_text("Hold 3 deliveries")
    late = a_delivery(domain="example.com")
    work(page)
    expect(page.locator("#operations")).to_contain_text("3 done")
    late.refresh_from_db()
    assert late.state == "queued"
    assert Delivery.objects.filter(domain__name="other.example", state="queued").count() == 2


def test_it_asks_again_where_the_number_differs(operator: Screen) -> None:
    rows = some(3)
    page = operator.open_live("/deliveries?q=state:deferred")
    page.check(".tick-all")
    page.click("#bar [data-action=delete]")
    ready(page)
    page.fill("#ask-reason", "Old")
    rows[0].delete()
    page.click("#ask button[type=submit]")
    expect(page.locator("#ask form [role=alert]")).to_contain_text("2 match now")
    expect(page.locator("#ask h2")).to_have_text("Delete 2 deliveries")
    assert page.input_value("#ask-reason") == "Old"
    assert not Operation.objects.exists()


def test_a_second_click_does_nothing_twice(operator: Screen) -> None:
    some(2)
    page = operator.open_live("/deliveries")
    page.check(".tick-all")
    page.click("#bar [data-action=delete]")
    ready(page)
    page.fill("#ask-reason", "Twice")
    page.evaluate("for (let i = 0; i < 3; i++) document.querySelector('#ask form').requestSubmit()")
    expect(page.locator("#ask")).to_be_hidden()
    expect(page.locator("#operations article")).to_have_count(1)
    assert Operation.objects.count() == 1


def test_it_wants_a_large_number_typed(operator: Screen) -> None:
    row = some(1)[0]
    Delivery.objects.bulk_create(
        Delivery(
            message=row.message, recipient=f"m{n}@example.com", domain=row.domain, state="deferred",
            accepted_at=row.accepted_at, expires_at=row.expires_at, next_attempt_at=row.next_attempt_at,
        )
        for n in range(1000)
    )  # fmt: skip
    RecipientDomain.objects.update(n_deferred=1001)
    page = operator.open_live("/deliveries?q=state:deferred&limit=5")
    page.check(".tick-all")
    page.click("text=Select all 1,001 that match")
    page.click("#bar [data-action=bounce]")
    ready(page)
    page.fill("#ask-reason", "Gone")
    page.fill("#ask-typed", "1,000")
    page.click("#ask button[type=submit]")
    expect(page.locator("#ask .field-error")).to_contain_text("Type 1,001 to go on.")
    assert not Operation.objects.exists()
    page.fill("#ask-typed", "1,001")
    page.click("#ask button[type=submit]")
    expect(page.locator("#operations")).to_contain_text("Bounce 1,001 deliveries")


def test_the_keyboard_alone_does_it_all(operator: Screen) -> None:
    some(5)
    page = operator.open_live("/")
    press = page.keyboard.press
    press("g")
    press("d")
    page.wait_for_url("**/deliveries")
    page.wait_for_selector("[data-live-state=live]")
    press("/")
    page.keyboard.type("state:deferred j x r")  # typed, not obeyed
    assert page.input_value("#q") == "state:deferred j x r"
    page.fill("#q", "state:deferred")
    press("Enter")
    page.wait_for_url("**q=state%3Adeferred")
    press("Tab")
    for key in ("j", "x", "j", "j", "x", "k", "k"):
        press(key)
    expect(page.locator("#bar")).to_contain_text("2 deliveries ticked")
    focused = page.evaluate("document.activeElement.id")
    press("h")
    ready(page)
    expect(page.locator("#ask-reason")).to_be_focused()
    press("Escape")
    expect(page.locator("#ask")).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == focused
    press("h")
    ready(page)
    page.keyboard.type("Waiting for a word")
    for _ in range(2):
        press("Tab")
    expect(page.locator("#ask button[type=submit]")).to_be_focused()
    press("Enter")
    expect(page.locator("#operations")).to_contain_text("Hold 2 deliveries")
    work(page)
    expect(page.locator("#operations")).to_contain_text("2 done")
    assert Delivery.objects.filter(state="held").count() == 2
    press("g")
    press("p")
    page.wait_for_url("**/operations")
    press("j")
    press("Enter")
    page.wait_for_url("**/operations/*")
    assert "Waiting for a word" in page.inner_text("main")
    page.wait_for_selector("main button:has-text('Undo')")
    for _ in range(60):
        press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()").startswith("Undo"):
            break
    press("Enter")
    expect(page.locator("dialog[open] h2")).to_have_text("Undo this operation")
    for _ in range(2):
        press("Tab")
    press("Enter")
    page.wait_for_selector("h1:has-text('Undo for 2 deliveries')")
    work(page)
    assert Delivery.objects.filter(state="held").count() == 0
    assert real(operator) == []


def test_ticks_end_with_the_search(operator: Screen) -> None:
    some(2)
    some(1, "queued", "other.example")
    page = operator.open_live("/deliveries?q=state:deferred")
    page.check(".tick-all")
    expect(page.locator("#bar")).to_contain_text("2 deliveries ticked")
    page.fill("#q", "state:queued")
    page.keyboard.press("Enter")
    page.wait_for_selector("#results >> text=r0@other.example")
    expect(page.locator("#bar")).to_be_hidden()


def test_it_shows_hostile_text_as_text(operator: Screen) -> None:
    a_delivery(a_message(subject=HOSTILE), recipient=HOSTILE, state="deferred")
    page = operator.open_live("/deliveries")
    page.check(".tick-all")
    page.click("#bar [data-action=delete]")
    ready(page)
    assert "<script>" in page.inner_text("#ask")
    page.fill("#ask-reason", HOSTILE)
    page.click("#ask button[type=submit]")
    expect(page.locator("#ask")).to_be_hidden()
    work(page)
    page.goto(f"http://{operator.address}/operations")
    page.wait_for_selector("main >> text=<script>")
    assert page.locator("img[src=x]").count() == 0
    assert real(operator) == []


def test_a_refusal_is_said_in_the_dialog(screen: Screen) -> None:
    some(1)
    page = screen.open_live("/deliveries")
    page.check(".tick-all")
    User.objects.get().groups.clear()  # since the page was opened
    page.click("#bar [data-action=hold]")
    expect(page.locator("#ask")).to_contain_text("needs the scope")
    expect(page.locator("#ask button[type=submit]")).to_have_count(0)
    assert not Operation.objects.exists()
