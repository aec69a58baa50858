"""Links lead somewhere, blocks are what they say, and nothing names this machine."""

from __future__ import annotations

import ast
import json
import re

import pytest

from tests.docs.pages import ROOT, Page, page, pages
from tests.lint.committed_files import machine_paths

ALL = pytest.mark.parametrize("document", pages(), ids=lambda each: each.name)


@ALL
def test_it_has_no_dead_link(document: Page) -> None:
    dead = [link for link in document.links if not _leads_somewhere(document, link)]
    assert not dead


def _leads_somewhere(document: Page, link: str) -> bool:
    if re.match(r"https?://", link):
        return True
    name, _, anchor = link.partition("#")
    target = Page((document.path.parent / name).resolve()) if name else document
    if not target.path.exists() or not target.path.is_relative_to(ROOT):
        return False
    return not anchor or anchor in target.anchors


@ALL
def test_it_names_only_files_that_exist(document: Page) -> None:
    named = re.findall(
        r"`((?:queueapp|dashboard|tests|docs|templates|static|bench)/[\w./-]+)`", document.prose
    )
    gone = [name for name in named if not (ROOT / name).exists()]
    assert not gone


@ALL
def test_its_json_parses(document: Page) -> None:
    for block in document.blocks:
        if block.language == "json":
            json.loads(block.text)


@ALL
def test_its_python_parses(document: Page) -> None:
    for block in document.blocks:
        if block.language == "python":
            ast.parse(block.text, str(block))


@ALL
def test_every_block_says_its_language(document: Page) -> None:
    assert [str(block) for block in document.blocks if not block.language] == []


@ALL
def test_it_names_no_path_of_one_machine(document: Page) -> None:
    assert list(machine_paths(document.name, document.text, f"{ROOT}/")) == []


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        path = todo.pop()
        if path in reached or path.suffix != ".md":
            continue
        reached.add(path)
        links = [link.partition("#")[0] for link in Page(path).links if "://" not in link]
        todo += [(path.parent / link).resolve() for link in links if link]
    assert {each.path for each in pages()} <= reached


def test_the_checks_find_what_is_wrong(tmp_path: object) -> None:
    readme = page("README.md")
    assert not _leads_somewhere(readme, "docs/nothing.md")
    assert not _leads_somewhere(readme, "README.md#nothing-here")
    assert _leads_somewhere(readme, "CHANGELOG.md#unreleased")
