"""Our documents as tests read them: headings with their anchors, links, code blocks and tables.

Reads as much of Markdown as we write: `#` headings, inline links, fenced blocks, pipe tables. A comment
right above a block says what tests do with it: `<!-- not run: REASON -->`, else a block of `sh` is run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", re.MULTILINE)
_LINK = re.compile(r"(?<!\!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^()\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*\Z")
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `not_run` is the reason in the comment above it, or ""."""

    page: str
    line: int
    language: str
    text: str
    not_run: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Page:
    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without its code blocks; lines stay where they are."""
        return _FENCE.sub(lambda found: "\n" * found[0].count("\n"), self.text)

    @cached_property
    def blocks(self) -> list[Block]:
        return [self._block(found) for found in _FENCE.finditer(self.text)]

    def _block(self, found: re.Match[str]) -> Block:
        before = self.text[: found.start()]
        reason = _NOT_RUN.search(before)
        lines = found[3].splitlines()
        text = "\n".join(line.removeprefix(found[1]) for line in lines) + "\n"
        return Block(self.name, before.count("\n") + 1, found[2], text, reason[1] if reason else "")

    @cached_property
    def anchors(self) -> set[str]:
        """As GitHub makes them from headings; a repeated one gets a number."""
        seen: Counter[str] = Counter()
        found = set()
        for heading in _HEADING.finditer(self.prose):
            anchor = re.sub(r"[^\w\- ]", "", plain(heading[2]).lower()).replace(" ", "-")
            found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
            seen[anchor] += 1
        return found

    @property
    def links(self) -> list[str]:
        pictures = [one or other for one, other in _PICTURE.findall(self.prose)]
        return [*_LINK.findall(self.prose), *pictures]

    def section(self, heading: str) -> str:
        """From the heading with that plain text to the next one as high, code blocks included."""
        # Blank out code, so that a comment in a shell block is no heading; places stay the same.
        bare = _FENCE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), self.text)
        headings = list(_HEADING.finditer(bare))
        for n, found in enumerate(headings):
            if plain(found[2]) == heading:
                later = (each.start() for each in headings[n + 1 :] if len(each[1]) <= len(found[1]))
                return self.text[found.start() : next(later, len(self.text))]
        raise AssertionError(f"{self.name} has no section {heading!r}")

    def rows(self, first: str) -> Iterator[list[str]]:
        """Cells of every table whose first heading is `first`, without marks of Markdown."""
        is_inside = False
        for line in self.prose.splitlines():
            if not line.startswith("|"):
                is_inside = False
                continue
            cells = [plain(cell) for cell in _CELL.split(line.strip()[1:-1])]
            if is_inside and not re.fullmatch(r"[-: |]+", line):
                yield cells
            elif cells[0] == first:
                is_inside = True


def plain(text: str) -> str:
    """A cell or heading as a reader sees it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text.strip())
    return text.replace("`", "").replace("**", "").replace("\\|", "|").strip()


def page(name: str) -> Page:
    return Page(ROOT / name)


def pages() -> list[Page]:
    """All documents that we write: the two at the top and everything below docs/."""
    return [
        Page(ROOT / "README.md"),
        Page(ROOT / "CHANGELOG.md"),
        *map(Page, sorted((ROOT / "docs").rglob("*.md"))),
    ]
