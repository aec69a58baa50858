"""Reads the files beside: what servers say, one entry for each wording, with the class it means.

A mistake in a file stops the import and names the entry: a table that is half read would misjudge
replies in silence. The order is that of FILES, and in a file that of its entries: what a provider says
in its own words stands above what many say.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from queueapp.mail.classes import CLASSES
from queueapp.mail.providers import PROVIDERS

FILES = (
    "google",
    "microsoft",
    "yahoo",
    "isps",
    "europe",
    "asia",
    "hosting",
    "gateways",
    "servers",
    "general",
)
WORD = re.compile(r"[^\W_]{3,}")
STAGES = ("connect", "greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot")
MAX_DELAY = 86_400
_LIMIT = re.compile(r"[245][0-9]{0,2}( [245]\.[0-9]{1,3}\.[0-9]{1,3})?\Z")
_KEYS = frozenset({"name", "class", "text", "example", "codes", "stage", "sure", "provider", "asks", "delay"})


@dataclass(frozen=True, slots=True)
class Pattern:
    """One wording; what the fields mean stands at the top of general.toml. `phrases` in lower case.

    `is_own`, `hosts` (domains of the MX hosts that it holds for; () all) and no phrases at all are for
    lines of an administrator.
    """

    name: str
    reply_class: str
    phrases: tuple[str, ...]
    example: str
    codes: tuple[str, ...] = ()
    stage: str = ""
    sure: bool = False
    provider: str = ""
    asks: int | None = None
    delay: int | None = None
    hosts: tuple[str, ...] = ()
    is_own: bool = False
    note: str = ""

    @property
    def rule(self) -> str:
        """As it stands in `Attempt.rule`."""
        return f"{'own' if self.is_own else 'pattern'}:{self.name}"

    @property
    def is_permanent(self) -> bool | None:
        """What its codes leave: all of them permanent, all temporary, or (None) as the reply says."""
        digits = {code[0] for code in self.codes}
        return None if len(digits) != 1 else digits == {"5"}


class PatternError(ValueError):
    """What is wrong with a line; `field` says where."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def read(text: str) -> tuple[Pattern, ...]:
    """The table in the order of the file. Raises ValueError naming the entry that is wrong."""
    return _once(_pattern(entry) for entry in tomllib.loads(text)["pattern"])


def check(pattern: Pattern) -> None:
    """What any line must be, shipped or own. Raises PatternError."""
    for phrase in pattern.phrases:
        if phrase != phrase.lower() or not WORD.search(phrase):
            raise PatternError(
                "text", f"{phrase[:80]!r}: texts are lower-case and hold a word of 3 letters or more"
            )
    for limit in pattern.codes:
        if not _LIMIT.match(limit):
            raise PatternError(
                "codes", f"{limit[:40]!r} is not the beginning of a reply, such as 4, 421 or 550 5.4.1"
            )
    if pattern.reply_class not in CLASSES:
        raise PatternError("class", f"there is no class {pattern.reply_class!r}")
    if pattern.stage and pattern.stage not in STAGES:
        raise PatternError("stage", f"stage {pattern.stage[:40]!r} is not one of {', '.join(STAGES)}")
    if pattern.provider and pattern.provider not in PROVIDERS:
        raise PatternError("provider", f"there is no provider {pattern.provider[:40]!r}")
    if pattern.delay is not None and not 1 <= pattern.delay <= MAX_DELAY:
        raise PatternError("delay", f"delay {pattern.delay} is not 1 to {MAX_DELAY} seconds")


def _pattern(entry: dict[str, Any]) -> Pattern:
    name = str(entry.get("name", ""))
    if unknown := entry.keys() - _KEYS:
        raise ValueError(f"pattern {name!r} has unknown keys: {', '.join(sorted(unknown))}")
    phrases, codes = _strings(entry.get("text")), _strings(entry.get("codes"))
    if not name or not phrases or not entry.get("example"):
        raise ValueError(f"pattern {name!r} needs a name, a text and an example")
    made = Pattern(
        name, str(entry.get("class")), phrases, str(entry["example"]), codes, str(entry.get("stage", "")),
        bool(entry.get("sure", False)), str(entry.get("provider", "")), entry.get("asks"), entry.get("delay"),
    )  # fmt: skip
    try:
        check(made)
    except PatternError as error:
        raise ValueError(f"pattern {name!r}: {error}") from None
    return made


def _strings(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _once(patterns: Any) -> tuple[Pattern, ...]:
    found: dict[str, Pattern] = {}
    for pattern in patterns:
        if pattern.name in found:
            raise ValueError(f"pattern {pattern.name!r} stands there twice")
        found[pattern.name] = pattern
    return tuple(found.values())


_FOLDER = Path(__file__).parent
PATTERNS: tuple[Pattern, ...] = _once(
    pattern for name in FILES for pattern in read((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
)
BY_NAME: dict[str, Pattern] = {pattern.name: pattern for pattern in PATTERNS}
