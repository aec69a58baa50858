"""axe-core on the page that is open: what it finds against WCAG 2.2 AA and its own best practice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

_AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """tags => axe.run(document, {runOnly: {type: "tag", values: tags}, iframes: false})
    .then(found => found.violations.map(each => (
        {id: each.id, where: each.nodes.map(node => [...node.target, node.failureSummary])})))"""
needs_axe = pytest.mark.skipif(not _AXE.exists(), reason="axe-core is not installed: npm ci")


def violations(page: Page) -> list[Any]:
    page.evaluate(_AXE.read_text())  # by the debugger: the page's own policy would refuse it
    found: list[Any] = page.evaluate(_RUN, _RULES)
    return found
