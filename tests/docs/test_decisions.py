"""Each decision says the situation, the choice and its price, on one screen; the changelog has its form."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, Page, page

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_it_is_short_and_whole(path: object) -> None:
    document = Page(path)  # type: ignore[arg-type]
    assert len(document.text.splitlines()) <= 40
    number = document.path.name[:4]
    assert re.match(rf"# {number}: .+", document.text)
    for heading in ("Situation", "Choice", "What was given up"):
        assert document.section(heading).count("\n") > 1


def test_numbers_are_used_once() -> None:
    """There may be gaps: whoever works beside others takes numbers of a range of their own."""
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert len(numbers) == len(set(numbers))


def test_the_index_lists_every_decision() -> None:
    index = page("docs/decisions/README.md")
    assert [link for link in index.links if link[:4].isdigit()] == [path.name for path in DECISIONS]


def test_the_changelog_has_its_form() -> None:
    changelog = page("CHANGELOG.md")
    assert "## Unreleased" in changelog.text
    kinds = re.findall(r"^### (.+)$", changelog.section("Unreleased"), re.MULTILINE)
    assert kinds
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
