"""A dashboard, a reader who is logged in, and a page that reports every complaint of the browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.valkey import ValkeyServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDE = {"width": 1280, "height": 900}
LOUD = ("error", "warning")
REPORTS = """
document.addEventListener("securitypolicyviolation",
    event => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass
class Screen:
    """`complaints`: console errors, page errors and violated policies since the page was opened."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(f"http://{self.address}{path}")
        return self.page

    def open_live(self, path: str = "/") -> Page:
        self.open(path).wait_for_selector("[data-live-state=live]", timeout=15_000)
        return self.page


@pytest.fixture(autouse=True, scope="module")
def _orm_beside_playwright() -> Iterator[None]:
    """Playwright's loop runs in this thread, which Django's ORM would complain about."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    yield
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def address(transactional_db: None, valkey: ValkeyServer) -> Iterator[str]:
    from tests.dashboard.live import a_dashboard  # needs Django, which is not set up while this file loads

    with a_dashboard() as running:
        yield running


def _watched(page: Page, address: str) -> Screen:
    screen = Screen(page, address)
    page.on("console", lambda said: said.type in LOUD and screen.complaints.append(said.text))
    page.on("pageerror", lambda error: screen.complaints.append(str(error)))
    page.add_init_script(REPORTS)
    return screen


@pytest.fixture
def stranger(browser: Browser, address: str) -> Iterator[Screen]:
    """A screen without a session."""
    page = browser.new_page(viewport=WIDE, locale="en-GB", timezone_id="Europe/Berlin")
    yield _watched(page, address)
    page.close()


@pytest.fixture
def screen(stranger: Screen) -> Screen:
    """A screen with one."""
    from tests.dashboard.live import a_session

    _, cookie = a_session()
    name, _, value = cookie.partition("=")
    stranger.page.context.add_cookies([{"name": name, "value": value, "url": f"http://{stranger.address}"}])
    return stranger


@pytest.fixture
def operator(screen: Screen) -> Screen:
    """The screen of somebody who may do all there is to do."""
    from django.contrib.auth.models import User

    User.objects.update(is_staff=True, is_superuser=True)
    return screen
