"""Chromium starts, runs a page's script and shows what it made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_it_works(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<title>x</title><p id=p></p><script>p.textContent = 6 * 7</script>")
    assert page.text_content("#p") == "42"
    page.close()
