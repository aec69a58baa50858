"""Pictures in docs/img are those that one command takes, all are shown, and they stay small."""

from __future__ import annotations

from docs.screenshots import PAGES
from tests.docs.pages import ROOT, page

FOLDER = ROOT / "docs" / "img"
MOST = 6_000_000  # octets of all


def test_each_page_has_its_pictures_and_each_picture_its_page() -> None:
    wanted = {f"{name}-{look}.webp" for name, *_ in PAGES for look in ("light", "dark", "narrow")}
    assert {each.name for each in FOLDER.iterdir()} == wanted


def test_the_documentation_shows_them_all() -> None:
    shown = set(page("docs/dashboard.md").links)
    assert {f"img/{each.name}" for each in FOLDER.iterdir()} <= shown


def test_they_are_small() -> None:
    assert sum(each.stat().st_size for each in FOLDER.iterdir()) < MOST
