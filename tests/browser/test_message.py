"""The page of one message in Chromium: it stays still while it changes, and asks before it acts."""

from __future__ import annotations

from playwright.sync_api import expect

from queueapp import events
from queueapp.models import AttemptTranscript, Delivery
from tests.browser.conftest import Screen
from tests.dashboard.rows import a_delivery, a_message, an_attempt

SAID = "    0.000 S: 220 mx.example.com\n    0.010 C: EHLO us.example.org"


def test_it_keeps_what_is_open_and_typed_while_it_changes(screen: Screen) -> None:
    delivery = a_delivery(state="deferred", n_attempts=1)
    AttemptTranscript.objects.create(attempt=an_attempt(delivery), text=SAID)
    page = screen.open_live(f"/messages/{delivery.message_id}")
    page.click("text=What was said")
    page.click("text=Correct the address")
    page.fill("[name=address]", "half-typed@exa")
    Delivery.objects.update(last_class="busy")
    events.publish("deliveries")
    page.wait_for_selector("#recipients >> text=overloaded")
    assert page.is_visible("text=220 mx.example.com")
    assert page.input_value("[name=address]") == "half-typed@exa"
    assert page.evaluate("document.activeElement.name") == "address"
    assert screen.complaints == []


def test_it_asks_before_it_corrects_an_address(screen: Screen) -> None:
    delivery = a_delivery(state="deferred")
    page = screen.open_live(f"/messages/{delivery.message_id}")
    page.click("text=Correct the address")
    page.fill("[name=address]", "bob@example.org")
    page.fill(".correct [name=reason]", "mistyped")
    page.click("text=Correct and send")
    expect(page.locator("#confirm")).to_contain_text("The delivery to b@example.com is closed")
    assert Delivery.objects.count() == 1
    page.click("#confirm [data-part=go]")
    page.wait_for_selector("text=It goes to bob@example.org now.")
    assert Delivery.objects.count() == 2
    page.click("[data-action=delete]")
    expect(page.locator("#ask h2")).to_contain_text("Delete 1 delivery")
    assert screen.complaints == []


def test_it_fetches_the_recipient_that_a_link_names(screen: Screen) -> None:
    message = a_message(n_recipients=60)
    last = [a_delivery(message, recipient=f"r{n}@example.com") for n in range(60)][-1]
    page = screen.open(f"/messages/{message.pk}#delivery-{last.pk}")
    page.wait_for_selector(f"article#delivery-{last.pk} >> text=r59@example.com")
    assert screen.complaints == []
