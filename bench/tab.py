"""`python -m bench tab`: whether a browser's tab stays as small as it was, with updates flowing.

Starts a system, sends the demo's mail through it, and keeps the overview, the list, the board and others open
in Chromium. Each minute the garbage of every tab is collected, and what is left is
printed: JavaScript heap, nodes of the DOM, listeners. The first minute is for the page to fill.
Ends with 1 where a tab grows by more than a tenth in an hour, by the slope over all minutes after it,
and by more than what the figures scatter.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.report import write_plays
from bench.scratch import scratch
from bench.systems.base import ROOT, end_session
from tests.processes import die_with_parent
from tests.system import ADMIN_PASSWORD, System

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

PAGES = (
    "/",
    "/deliveries",
    "/board",
    "/domains/bigpost.throttle.test",
    "/diagnosis",
    "/alerts",
    "/operations",
)
MEASURED = {"heap_kb": "JSHeapUsedSize", "nodes": "Nodes", "listeners": "JSEventListeners"}
MOST_PER_HOUR = 0.1  # of what the tab holds
_KB = 1024


@dataclass
class Tab:
    """`rows[minute]` is what was measured then."""

    path: str
    rows: list[dict[str, int]] = field(default_factory=list)

    def values(self, name: str) -> list[int]:
        return [row[name] for row in self.rows]

    def slope(self, name: str) -> tuple[float, float]:
        """Growth by the minute, and its standard error, by least squares."""
        values = self.values(name)
        n = len(values)
        if n < 3:
            return 0.0, 0.0
        mean_x, mean_y = (n - 1) / 2, sum(values) / n
        square = sum((x - mean_x) ** 2 for x in range(n))
        grows = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(values)) / square
        left = sum((y - mean_y - grows * (x - mean_x)) ** 2 for x, y in enumerate(values))
        return grows, (left / (n - 2) / square) ** 0.5

    def grows(self, name: str) -> bool:
        """By more than a tenth an hour, and surely: twice the error is taken off."""
        by, error = self.slope(name)
        return (by - 2 * error) * 60 > MOST_PER_HOUR * self.values(name)[0]


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench tab", description=__doc__)
    parser.add_argument("--minutes", type=int, default=10, help="measured, after one to fill (default 10)")
    parser.add_argument("--rate", type=float, default=10.0, help="mails a second that flow (default 10)")
    chosen = parser.parse_args(arguments)
    if not 3 <= chosen.minutes <= 58 or chosen.rate <= 0:
        parser.error(f"--minutes {chosen.minutes} must be 3 to 58 and --rate {chosen.rate} above 0")
    return chosen


def run(chosen: argparse.Namespace) -> int:
    with scratch() as folder:
        home = folder / "h"
        home.mkdir(mode=0o700)
        with System(home=home) as system, _mail(system, chosen), _chromium() as browser:
            tabs = watch(browser, system.http, chosen.minutes)
    print("\n".join(table(tabs)))
    print("written to", write_plays("tab", tabs, options=vars(chosen)))
    return 1 if any(tab.grows(name) for tab in tabs for name in MEASURED) else 0


def watch(browser: BrowserContext, address: str, minutes: int) -> list[Tab]:
    opened = [(Tab(path), _open(browser, address + path)) for path in PAGES]
    begin = time.monotonic()
    for minute in range(1, minutes + 2):
        _wait(opened, begin + 60 * minute)
        for tab, (page, meter) in opened:
            page.wait_for_selector("[data-live-state=live]", timeout=30_000)  # it is still followed
            tab.rows.append(_measured(meter))
            last = tab.rows[-1]
            print(f"{minute:3} min  {tab.path:<24}" + "".join(f"{last[name]:>10,}" for name in MEASURED))
    return [tab for tab, _ in opened]


def _open(browser: BrowserContext, url: str) -> tuple[Page, Any]:
    page = browser.new_page()
    while (answer := page.goto(url)) and answer.status == 404:
        page.wait_for_timeout(1000)  # the first mail to that domain is on its way
    if "/login" in page.url:
        page.fill("#id_username", "admin")
        page.fill("#id_password", ADMIN_PASSWORD)
        page.click("main button[type=submit]")
        page.wait_for_url(url)
    meter = browser.new_cdp_session(page)
    meter.send("Performance.enable")
    return page, meter


def _wait(opened: list[tuple[Tab, tuple[Page, Any]]], until: float) -> None:
    """Playwright's messages are taken meanwhile."""
    page = opened[0][1][0]
    while (left := until - time.monotonic()) > 0:
        page.wait_for_timeout(1000 * min(left, 5))


def _measured(meter: Any) -> dict[str, int]:
    for _ in range(2):  # what is freed by what is freed
        meter.send("HeapProfiler.collectGarbage")
    told = {each["name"]: each["value"] for each in meter.send("Performance.getMetrics")["metrics"]}
    found = {name: int(told[key]) for name, key in MEASURED.items()}
    return {**found, "heap_kb": found["heap_kb"] // _KB}


@contextmanager
def _mail(system: System, chosen: argparse.Namespace) -> Iterator[None]:
    """The demo, for longer than it is looked at."""
    seconds = 60 * (chosen.minutes + 2) - 1
    command = ["manage.py", "demo", "--rate", str(chosen.rate), "--for", str(seconds), "--seed", "7"]
    with (system.home / "demo.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=system.env, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, start_new_session=True, preexec_fn=die_with_parent,
        )  # fmt: skip
        try:
            yield
        finally:
            end_session(process)


@contextmanager
def _chromium() -> Iterator[BrowserContext]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or "chromium", chromium_sandbox=os.geteuid() != 0
        )
        yield browser.new_context(viewport={"width": 1360, "height": 1000}, locale="en-GB")
        browser.close()


def table(tabs: list[Tab]) -> list[str]:
    """As it stands in docs/benchmarks.md."""
    lines = ["| Page | | At first | At the end | Least | Most | A minute |", "|---|---|---|---|---|---|---|"]
    for tab in tabs:
        for name in MEASURED:
            values = tab.values(name)
            by, error = tab.slope(name)
            shown = " | ".join(f"{n:,}" for n in (values[0], values[-1], min(values), max(values)))
            lines.append(f"| `{tab.path}` | {name} | {shown} | {by:+.1f} ± {2 * error:.1f} |")
    return lines
