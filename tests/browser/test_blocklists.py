"""The page of blocklists in Chromium: what the watch finds arrives by itself, and "check now" shows it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Screen

PATIENCE = 30_000


def beside(function: Callable[..., int], *arguments: Any) -> None:
    """In a thread of its own: Playwright's event loop runs in this one."""
    from django.db import connection

    def run() -> None:
        function(*arguments)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result(60)


def test_what_the_watch_finds_arrives_by_itself(screen: Screen) -> None:
    from django.utils import timezone

    from queueapp.models import Listing
    from queueapp.watch.blocklists import run
    from queueapp.watch.blocklists.lists import LISTS
    from tests.watch.blocklists.zones import OURS, a_source, asking, listed

    a_source()
    with asking("psbl", servers=2) as server:
        run.arrange()
        beside(run.batch, timezone.now() + timedelta(minutes=2))
        Listing.objects.update(checked_at=timezone.now() - timedelta(hours=1))
        page = screen.open_live("/blocklists")
        expect(page.locator(".cell-word")).to_have_text("clean")
        listed(server, LISTS["psbl"].zone, OURS, text="Listed for a test")
        page.get_by_role("button", name="Check all now").click()
        expect(page.locator(".cell-word")).to_have_text("checking")
        page.wait_for_selector("[data-live-state=live]", timeout=PATIENCE)
        beside(run.batch, timezone.now())
        expect(page.locator(".cell-word")).to_have_text("listed", timeout=PATIENCE)
        expect(page.get_by_text("Listed for a test", exact=True)).to_be_visible()
    assert not screen.complaints
