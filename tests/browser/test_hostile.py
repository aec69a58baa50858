"""Hostile mail in Chromium, on every page that shows it: nothing runs, nothing goes out, nothing pops up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page

from queueapp import conf
from queueapp.models import Body
from queueapp.sandbox.schema import FILE_NAME
from queueapp.sandbox.store import Store, Taken
from tests.browser.conftest import Screen
from tests.dashboard.pages.test_hostile import hostile
from tests.mail.hostile import with_outside


class Outside:
    """The world outside: counts whoever connects, even without a word."""

    def __init__(self) -> None:
        self.n = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = b"http://127.0.0.1:%d" % self._socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.n += 1
                connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def outside() -> Iterator[Outside]:
    listening = Outside()
    yield listening
    listening.close()


class Watch:
    """What a page did that it must not do. Of the console only what the mail's own frame was refused counts
    as right: that is the policy at work."""

    def __init__(self, page: Page) -> None:
        self.wrong: list[str] = []
        self.n_refused = 0
        page.on("dialog", lambda dialog: (self.wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("popup", lambda popup: self.wrong.append(f"popup {popup.url}"))
        page.on("download", lambda download: self.wrong.append(f"download {download.url}"))
        page.on("console", self._hear)
        page.on("request", lambda request: self._went(request.url))
        page.on("framenavigated", lambda frame: self._went(frame.url))

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type not in ("error", "warning"):
            return
        if str(said.location.get("url", "")).endswith("/html") or "/html'" in said.text:
            self.n_refused += 1
        elif "Refused to" not in said.text or "frame" in said.text:
            self.wrong.append(f"console {said.text} {said.location}")

    def _went(self, url: str) -> None:
        # What the policy refuses may be told as a request, too: the listener knows what went out.
        if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "about:")):
            self.wrong.append(f"went to {url}")


def in_sandbox(content: bytes) -> int:
    async def main() -> int:
        store = Store(conf.current().home / FILE_NAME)
        mail = Taken(
            1_763_800_000.0, "<script>@x.test", ("<b>@x.test",), ("ok",), content, "127.0.0.1", "<b>"
        )
        number = await store.keep(mail, int)
        store.close()
        return number

    return asyncio.run_coroutine_threadsafe(main(), _loop()).result(20)


def _loop() -> asyncio.AbstractEventLoop:
    """Playwright's runs in this thread already."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def test_nothing_runs_and_nothing_goes_out(screen: Screen, outside: Outside, tmp_path: Path) -> None:
    with conf.override(home=tmp_path):
        delivery = hostile(with_outside(outside.address))
        number = in_sandbox(bytes(Body.objects.get().content))
        page = screen.page
        watch = Watch(page)
        for path in ("/", "/deliveries", "/sandbox", f"/attempts/{delivery.attempts.get().pk}/transcript"):
            screen.open(path)
            page.wait_for_load_state("networkidle") if "transcript" in path else None
        for path in (f"/messages/{delivery.message_id}", f"/sandbox/{number}"):
            screen.open(path)
            page.locator("iframe.mail-html").scroll_into_view_if_needed()  # it is loaded when it is near
            frame = page.frame_locator("iframe.mail-html")
            frame.get_by_text("Hello, reader").wait_for()
            frame.get_by_text("a link", exact=True).click()
            frame.get_by_role("button", name="go").click()
            assert frame.get_by_text("Hello, reader").is_visible(), "the mail is still there"
            page.click("#text-tab")
            page.click("#headers-tab")
            page.click("text=As they came")
            assert page.locator("main script, main img").count() == 0
            assert "taken over" not in page.title().split(">")[0]
            page.goto(f"http://{screen.address}{path}/html")  # in a tab of its own
            page.get_by_text("a link", exact=True).click()
            assert page.get_by_text("Hello, reader").is_visible()
            page.goto(f"http://{screen.address}{path}/source")
            assert "<script>" in page.inner_text("body")
        screen.open(f"/messages/{delivery.message_id}")
        page.click("text=What was said")
        assert page.is_visible(".said-server")
        page.wait_for_timeout(500)  # for what would come late
    assert watch.wrong == []
    assert watch.n_refused > 0, "the frame was refused nothing: is the policy there?"
    assert outside.n == 0, f"{outside.n} connections went outside"
