"""Reads `patterns.toml`: what servers say, one entry for each wording, with the class it means.

A mistake in the file stops the import and names the entry: a table that is half read would
misjudge replies in silence.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .classes import CLASSES

_FILE = Path(__file__).with_name("patterns.toml")
_WORD = re.compile(r"[^\W_]{3,}")
_KEYS = frozenset({"name", "class", "text", "example", "codes", "stage", "sure"})


@dataclass(frozen=True, slots=True)
class Pattern:
    """One wording; what the fields mean stands at the top of the file."""

    name: str
    reply_class: str
    phrases: tuple[str, ...]
    example: str
    codes: tuple[str, ...] = ()
    stage: str = ""
    sure: bool = False


def read(text: str) -> tuple[Pattern, ...]:
    """The table in the order of the file. Raises ValueError naming the entry that is wrong."""
    names: set[str] = set()
    patterns = []
    for entry in tomllib.loads(text)["pattern"]:
        pattern = _pattern(entry)
        if pattern.name in names:
            raise ValueError(f"pattern {pattern.name!r} stands there twice")
        names.add(pattern.name)
        patterns.append(pattern)
    return tuple(patterns)


def _pattern(entry: dict[str, object]) -> Pattern:
    name = str(entry.get("name", ""))
    if unknown := entry.keys() - _KEYS:
        raise ValueError(f"pattern {name!r} has unknown keys: {', '.join(sorted(unknown))}")
    phrases, codes = _strings(entry.get("text")), _strings(entry.get("codes"))
    if not name or not phrases or not entry.get("example"):
        raise ValueError(f"pattern {name!r} needs a name, a text and an example")
    if any(phrase != phrase.lower() or not _WORD.search(phrase) for phrase in phrases):
        raise ValueError(f"pattern {name!r}: texts are lower-case and hold a word of 3 letters or more")
    if entry.get("class") not in CLASSES:
        raise ValueError(f"pattern {name!r}: there is no class {entry.get('class')!r}")
    stage, sure = str(entry.get("stage", "")), bool(entry.get("sure", False))
    return Pattern(name, str(entry["class"]), phrases, str(entry["example"]), codes, stage, sure)


def _strings(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


PATTERNS: tuple[Pattern, ...] = read(_FILE.read_text(encoding="utf-8"))
