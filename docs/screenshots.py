"""Takes the pictures in docs/img: `python -m docs.screenshots [FOLDER]`.

Starts a dashboard of its own on a free port, with a database that docs/sample.py fills, and looks at
it with Chromium. Needs the development dependencies and leaves nothing but the pictures.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "a-long-enough-one"  # noqa: S105  of a database that lives for a minute
WIDE, NARROW = {"width": 1360, "height": 1000}, {"width": 390, "height": 844}

# Name, path, and what is clicked before the picture is taken. A new page is a line here.
PAGES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("overview", "/", ()),
    ("deliveries", "/deliveries", ()),
    ("selected", "/deliveries?q=state%3Adeferred", (".tick-all",)),
    ("dialog", "/deliveries?q=state%3Adeferred", (".tick-all", "#bar [data-action=delete]")),
    ("message", "/messages/{message}", ()),
    ("operations", "/operations", ()),
    ("operation", "/operations/{operation}", ()),
    ("sandbox", "/sandbox", ()),
    ("blocklists", "/blocklists", ()),
)
LOOKS = (("light", WIDE), ("dark", WIDE), ("light", NARROW))

_PARTS = (
    ("web", "127.0.0.1:8000", 0), ("smtpd", "127.0.0.1:2525", 0), ("sandbox", "127.0.0.1:1025", 0),
    ("worker-1", "", 0), ("worker-2", "", 1), ("operator", "", 0), ("scheduler", "", 0), ("watch", "", 0),
)  # fmt: skip


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "img"
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
            _look(address, folder)
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


def _look(address: str, folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    from docs import sample_listings
    from docs.sample import fill

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or "chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(viewport=WIDE, locale="en-GB")
        page.goto(address)
        page.fill("#id_username", "admin")
        page.fill("#id_password", PASSWORD)
        page.click("main button[type=submit]")
        page.wait_for_selector("[data-live-state=live]")
        page.screenshot(path=folder / "first-mail.png")
        shown = {"message": fill(), "operation": _operations()}
        sample_listings.fill()
        for name, path, steps in PAGES:
            for theme, size in LOOKS:
                page.set_viewport_size(size)
                page.evaluate("theme => localStorage.setItem('mailweir-theme', theme)", theme)
                page.goto(address + path.format(**shown))
                page.wait_for_selector("[data-live-state=live]")
                for step in steps:
                    page.click(step)
                if steps:
                    page.wait_for_timeout(500)
                look = "narrow" if size is NARROW else theme
                page.screenshot(path=folder / f"{name}-{look}.png")
        chromium.close()


def _operations() -> int:
    """Some history; gives the id of an operation worth a picture."""
    from queueapp.access.change import Actor
    from queueapp.operations import actions, run

    def by(name: str) -> Actor:
        return Actor(f"user:{name}", frozenset({"read", "operate"}), "192.0.2.7")

    busy = actions.create(by("grace"), "hold", q="domain:gmail.com", reason="Their support asks for a pause")
    shown = actions.create(by("ada"), "delete", q="domain:orange.fr", reason="Sent to the wrong list")
    run.work(20)
    actions.undo(by("ada"), busy.pk)
    run.work(20)
    actions.create(by("grace"), "retry", q="class:greylisted", reason="")
    return shown.pk


if __name__ == "__main__":
    main()
