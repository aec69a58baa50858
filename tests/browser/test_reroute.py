"""Another way out and the first mail of a retry, decided in Chromium."""

from __future__ import annotations

from playwright.sync_api import expect

from queueapp.access.change import COMMAND
from queueapp.models import Delivery, OperationSite, Route
from queueapp.operations import actions, paced, run
from tests.browser.conftest import Screen
from tests.browser.test_bulk import ready, real, some, work


def test_ticked_mail_is_led_by_another_route(operator: Screen) -> None:
    Route.objects.create(name="backup", kind="relay", host="relay.test")
    rows = some(2)
    page = operator.open_live("/deliveries")
    page.check(".tick-all")
    page.click("#bar [data-action=reroute]")
    ready(page)
    expect(page.locator("#ask h2")).to_have_text("Reroute 2 deliveries")
    page.click("#ask button[type=submit]")
    expect(page.locator("#ask .field-error")).to_have_text("Choose the way that they take.")
    page.select_option("#ask-route", "backup")
    page.click("#ask button[type=submit]")
    expect(page.locator("#operations")).to_contain_text("Reroute 2 deliveries")
    work(page)
    expect(page.locator("#operations")).to_contain_text("2 done")
    assert {str(row.route) for row in Delivery.objects.select_related("route")} == {"backup"}
    page = operator.open_live(f"/messages/{rows[0].message_id}")
    expect(page.locator("#recipients")).to_contain_text("its next attempt goes by backup to relay.test:25")
    assert real(operator) == []


def test_a_person_does_not_wait_for_the_first_mail(operator: Screen) -> None:
    some(paced.ONE_FIRST)
    made = actions.create(COMMAND, "retry", q="", expect=paced.ONE_FIRST)
    while run.step(made.pk):
        pass
    page = operator.open_live(f"/operations/{made.pk}")
    expect(page.locator(".trials")).to_contain_text("being tried")
    page.click(".trials button:has-text('Go on')")
    expect(page.locator("dialog[open] h2")).to_contain_text("Go on at example.com")
    page.click("#confirm [data-part=go]")
    expect(page.locator(".trials")).to_contain_text("let go by a person")
    assert OperationSite.objects.get().verdict == "let"
    work(page)
    expect(page.locator("#operation .state").first).to_have_text("done")
    assert real(operator) == []
