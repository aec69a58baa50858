"""The board in Chromium: it acts in a dialog, changes in place, and complains of nothing."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from queueapp import events, stats
from queueapp.models import Delivery, DomainFigures, RecipientDomain
from tests.browser.conftest import Screen
from tests.dashboard.rows import HOSTILE, a_delivery, a_domain, a_site, now

NARROW = {"width": 390, "height": 844}
PATIENCE = 30_000  # ms


@pytest.fixture
def operator(screen: Screen) -> Screen:
    User.objects.update(is_superuser=True, is_staff=True)
    return screen


def some_rows() -> None:
    first = a_domain("first.example", n_deferred=9, site=a_site())
    a_domain("second.example", n_queued=5)
    a_delivery(domain="third.example", state="deferred", last_class="other", last_text=HOSTILE)
    DomainFigures.objects.create(domain=first, outcomes="dddwb", per_minute=4.2, median_s=0.4, p95_s=75)


def test_a_domain_is_suspended_in_a_dialog_and_the_row_says_so(operator: Screen) -> None:
    some_rows()
    page = operator.open_live("/board")
    expect(page.locator("#board tr")).to_have_count(3)
    row = page.locator("#board tr", has_text="first.example")
    assert row.locator(".outcomes rect").count() == 5
    assert "3 delivered · 1 deferred · 1 bounced" in row.inner_text()
    row.locator("[data-bs-toggle]").click()
    row.locator("text=Suspend").click()
    dialog = page.locator("#sheet")
    expect(dialog).to_contain_text("Suspend first.example?")
    dialog.locator("[name=reason]").fill("they moved")
    dialog.locator("button[type=submit]").click()
    expect(page.locator("#done")).to_contain_text("first.example is suspended.")
    expect(row.locator("[data-badge=state]")).to_contain_text("suspended")
    expect(row).to_contain_text("they moved")
    assert RecipientDomain.objects.get(name="first.example").suspended_reason == "they moved"
    assert page.locator("main img[src=x]").count() == 0
    assert operator.complaints == []


def test_rows_change_in_place_and_none_moves_under_the_pointer(operator: Screen) -> None:
    some_rows()
    page = operator.open_live("/board")
    names = page.locator("#board [data-text=name]:not(.visually-hidden *)")
    expect(names).to_have_count(3)
    page.hover("#board tr:nth-child(2)")
    RecipientDomain.objects.filter(name="second.example").update(n_queued=77)
    a_domain("fourth.example", n_queued=500)
    events.publish("deliveries")
    expect(page.locator("#board tr:nth-child(2) [data-number=n_open]")).to_have_text("77", timeout=15_000)
    assert names.all_inner_texts() == ["first.example", "second.example", "third.example"]
    expect(page.locator("text=1 new, show")).to_be_visible()
    page.mouse.move(5, 5)
    expect(names.first).to_have_text("fourth.example")
    assert operator.complaints == []


def it_changes_in_place(page: Page, row: RecipientDomain) -> None:
    """All that stands on the page of a domain; what is in use waits, and what is done here shows at once."""
    page.evaluate("window.isTheSame = true")
    page.mouse.move(5, 5)
    a_delivery(domain=row.name, state="deferred", last_class="busy", last_text="Too many of you")
    RecipientDomain.objects.filter(pk=row.pk).update(n_queued=3210)
    events.publish("deliveries")
    expect(page.locator("[data-fresh=depth]")).to_contain_text("3,210", timeout=PATIENCE)
    expect(page.locator("[data-fresh=rows] .errors")).to_contain_text("Too many of you")
    assert page.locator("[data-strip] rect").count() == 5, "the strip of outcomes is drawn, and once"
    page.focus("[data-fresh=rows] .errors a")
    RecipientDomain.objects.filter(pk=row.pk).update(n_queued=3211)
    Delivery.objects.update(last_text="Still too many")
    events.publish("deliveries")
    expect(page.locator("[data-fresh=depth]")).to_contain_text("3,211", timeout=PATIENCE)
    expect(page.locator("[data-fresh=rows] .errors")).to_contain_text("Too many of you")
    page.click("text=Suspend…")
    page.locator("#sheet [name=reason]").fill("they moved")
    page.locator("#sheet button[type=submit]").click()
    expect(page.locator("[data-fresh=head]")).to_contain_text("suspended", timeout=PATIENCE)
    expect(page.locator("[data-fresh=why]")).to_contain_text("they moved")
    expect(page.locator("#done")).to_contain_text("first.example is suspended.")
    assert page.evaluate("window.isTheSame"), "the page was loaded anew"


def test_the_page_of_a_domain_draws_its_charts_at_every_span(operator: Screen) -> None:
    some_rows()
    row = RecipientDomain.objects.get(name="first.example")
    stats.record(stats.Tally({(row.pk, "delivered"): 12}), now())
    page = operator.open_live("/domains/first.example")
    expect(page.locator("[data-sum=delivered]")).to_have_text("12")
    for span in ("day", "week", "month"):
        page.click(f"[data-span={span}]")
        expect(page.locator(f"[data-span={span}]")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("[data-sum=delivered]")).to_have_text("12")
    page.click("text=The figures as a table")
    expect(page.locator("[data-chart=counts-table] tr").first).to_contain_text("12")
    it_changes_in_place(page, row)
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    for path in ("/board", "/board?view=shape", "/domains/first.example", "/"):
        operator.open(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    assert operator.complaints == []
