"""Takes the pictures in docs/img: `python -m docs.screenshots [--into FOLDER] [NAME …]`; without a name all.

Starts a dashboard of its own on a free port, with a database that docs/sample*.py fill, and looks at it with
Chromium: light, dark, and as wide as a telephone. Needs the development dependencies and leaves nothing but
the pictures. They are WebP, a quarter of what they would be as PNG.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

PASSWORD = "a-long-enough-one"  # noqa: S105  of a database that lives for a minute
WIDE, NARROW = {"width": 1360, "height": 1000}, {"width": 390, "height": 844}

# Name, path, and what is clicked before the picture is taken. A new page is a line here.
PAGES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("first-mail", "/", ()),
    ("overview", "/", ()),
    ("deliveries", "/deliveries", ()),
    ("groups", "/deliveries?group=class", ()),
    ("selected", "/deliveries?q=state%3Adeferred", (".tick-all",)),
    ("dialog", "/deliveries?q=state%3Adeferred", (".tick-all", "#bar [data-action=delete]")),
    ("message", "/messages/{message}", ()),
    ("operations", "/operations", ()),
    ("operation", "/operations/{operation}", ()),
    ("sandbox", "/sandbox", ()),
    ("board", "/board", ()),
    ("shape", "/board?view=shape", ()),
    ("domain", "/domains/yahoo.com", ()),
    ("site", "/sites/{site}", ()),
    ("diagnosis", "/diagnosis", ()),
    ("alerts", "/alerts", ()),
    ("alert", "/alerts/{alert}", ()),
    ("alert-rules", "/alerts/rules", ()),
    ("alert-rule", "/alerts/rules/{alert_rule}", ()),
    ("silences", "/silences", ()),
    ("blocklists", "/blocklists", ()),
    ("rules", "/rules", ()),
    ("rule", "/rules/{rule}", ()),
    ("replies", "/replies", ()),
    ("reply", "/replies/own/{reply}", ()),
    ("routes", "/routes", ()),
    ("people", "/people", ()),
    ("person", "/people/{person}", ()),
    ("keys", "/keys", ()),
    ("audit", "/audit", ()),
    ("account", "/account", ()),
    ("login", "/login", ()),
)
LOOKS = (("light", WIDE), ("dark", WIDE), ("light", NARROW))

_PARTS = (
    ("web", "127.0.0.1:8000", 0), ("smtpd", "127.0.0.1:2525", 0), ("sandbox", "127.0.0.1:1025", 0),
    ("worker-1", "", 0), ("worker-2", "", 1), ("operator", "", 0), ("scheduler", "", 0), ("watch", "", 0),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.screenshots", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="one of: " + ", ".join(name for name, *_ in PAGES)
    )
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", default=Path(__file__).resolve().parent / "img"
    )
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - {name for name, *_ in PAGES}:
        parser.error(f"there is no page {min(unknown)!r}")
    home = Path(tempfile.mkdtemp(prefix="mw-"))
    os.environ |= {
        "MAILWEIR_HOME": str(home),
        "MAILWEIR_SMTP": "127.0.0.1:2525",
        "DATABASE_URL": "",
        "REDIS_URL": f"unix://{home}/valkey.sock",
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "DJANGO_ALLOW_ASYNC_UNSAFE": "1",  # Playwright's loop runs in this thread
    }
    from tests.valkey import ValkeyServer

    try:
        with ValkeyServer(home / "valkey.sock"), _dashboard(home) as address:
            _look(address, chosen.into, chosen.names)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _dashboard(home: Path) -> Iterator[str]:
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from dashboard.web import server

    call_command("migrate", verbosity=0)
    User.objects.create_superuser("admin", "", PASSWORD)
    parts = [
        {"name": name, "pid": 1, "address": address, "state": "running", "n_restarts": n}
        for name, address, n in _PARTS
    ]
    (home / "parts.json").write_text(json.dumps({"parts": parts}))
    listening = socket.create_server(("127.0.0.1", 0))
    is_ready = threading.Event()
    web = server(is_ready.set)
    thread = threading.Thread(target=web.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    if not is_ready.wait(30):
        raise RuntimeError("the dashboard did not start")
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    web.should_exit = True
    thread.join(10)


def _look(address: str, folder: Path, names: list[str]) -> None:
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or "chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(viewport=WIDE, locale="en-GB")
        page.emulate_media(reduced_motion="reduce")
        page.goto(address)
        page.fill("#id_username", "admin")
        page.fill("#id_password", PASSWORD)
        page.click("main button[type=submit]")
        page.wait_for_selector("[data-live-state=live]")
        # The strip of operations has a picture of its own; elsewhere it would lie on what is shown.
        page.add_init_script("sessionStorage.setItem('mailweir-operations', '[1, 2, 3, 4, 5]')")
        shown: dict[str, Any] = {}
        for name, path, steps in PAGES:
            if name == "overview":
                shown = _fill()  # the page before it is what an empty queue looks like
            if not names or name in names:
                _take(page, address + path.format(**shown), steps, folder / name)
        chromium.close()


def _take(page: Page, url: str, steps: tuple[str, ...], path: Path) -> None:
    """One page in each look. The page before a log-in has no live figures."""
    if url.endswith("/login"):
        page.context.clear_cookies()
    for theme, size in LOOKS:
        page.set_viewport_size(size)
        page.evaluate("theme => localStorage.setItem('mailweir-theme', theme)", theme)
        page.goto(url)
        if not url.endswith("/login"):
            page.wait_for_selector("[data-live-state=live]")
        for step in steps:
            page.click(step)
        page.wait_for_timeout(600)  # charts and what the steps brought
        look = "narrow" if size is NARROW else theme
        asked = {"format": "webp", "quality": 80}
        taken = page.context.new_cdp_session(page).send("Page.captureScreenshot", asked)
        path.with_name(f"{path.name}-{look}.webp").write_bytes(base64.b64decode(taken["data"]))


def _fill() -> dict[str, Any]:
    """Gives what stands in the addresses of PAGES."""
    from docs import sample, sample_health, sample_listings, sample_people

    shown: dict[str, Any] = {
        "message": sample.fill(),
        "person": sample_people.fill(),
        "operation": _operations(),
    }
    sample_listings.fill()
    return {**shown, **sample_health.fill()}


def _operations() -> int:
    """Some history; gives the id of an operation worth a picture."""
    from queueapp.access.change import Actor
    from queueapp.operations import actions, run

    def by(name: str) -> Actor:
        return Actor(f"user:{name}", frozenset({"read", "operate"}), "192.0.2.7")

    busy = actions.create(by("grace"), "hold", q="domain:gmail.com", reason="Their support asks for a pause")
    shown = actions.create(
        by("ada"), "delete", q="domain:holiday-list.example", reason="Sent to the wrong list"
    )
    run.work(120)
    actions.undo(by("ada"), busy.pk)
    run.work(120)
    actions.create(by("grace"), "retry", q="class:greylisted", reason="")
    return shown.pk


if __name__ == "__main__":
    main()
