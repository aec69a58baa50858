"""What a search means, as values: terms, their groups, and the canonical text that gives them again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

WORD = "word"  # the key of a term that was written without one

SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
BYTES = {"GB": 10**9, "MB": 10**6, "KB": 10**3, "B": 1}
UNITS = {"age": SECONDS, "next": SECONDS, "size": BYTES}

_PLAIN = re.compile(r"[\w.@+/%][\w.@+/%-]*")

Op = Literal["=", ">", ">=", "<", "<="]


class GrammarError(ValueError):
    """`position` (from 0) and `length` mark the mistake; `hint` says what to write instead, or is ""."""

    def __init__(self, message: str, position: int, length: int, hint: str = "") -> None:
        self.message = message
        self.position = position
        self.length = length
        self.hint = hint
        super().__init__(f"{message} (at position {position + 1})" + (f". {hint}" if hint else ""))


@dataclass(frozen=True, slots=True)
class Text:
    """Literal parts with any text between them: ("news",) is exact, ("a", "b") was written a*b."""

    parts: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        return len(self.parts) == 1

    def __str__(self) -> str:
        if self.is_exact and not _PLAIN.fullmatch(self.parts[0]):
            return '"' + re.sub(r'(["\\])', r"\\\1", self.parts[0]) + '"'
        return "*".join(re.sub(r"([^\w.@+/%-]|^-)", r"\\\1", part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AddressText:
    """What `from:` and `to:` look for: an exact address, a domain, a part, or the null sender (`from:<>`).

    Domains are A-labels in lower case; the text of a domain holds no @. Wildcards are possible in all.
    """

    kind: Literal["address", "domain", "part", "null"]
    text: Text

    def __str__(self) -> str:
        if self.kind == "null":
            return "<>"
        if self.kind != "domain":
            return str(self.text)
        return str(Text(("@" + self.text.parts[0], *self.text.parts[1:])))


Value = str | int | Text | AddressText


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `age` and `next` are in seconds, `size` in bytes, `code` is 421 or "4.7.1"."""

    key: str
    op: Op
    value: Value
    is_negated: bool = False
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    def __str__(self) -> str:
        sign = "-" if self.is_negated else ""
        if self.key == WORD:
            return f"{sign}{self.value}"
        shown = str(self.value)
        if isinstance(self.value, int) and self.key in UNITS:
            units = UNITS[self.key]
            unit = next(unit for unit, size in units.items() if self.value % size == 0)
            shown = f"{self.value // units[unit]}{unit}" if self.value else f"0{list(units)[-1]}"
        return f"{sign}{self.key}{':' if self.op == '=' else self.op}{shown}"


@dataclass(frozen=True, slots=True)
class Query:
    """Terms in the order written; none of them selects everything. `str()` gives the canonical text."""

    terms: tuple[Term, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))

    def groups(self) -> list[list[Term]]:
        """Terms of one group are OR, groups are AND: the whole meaning, for whoever compiles it."""
        groups: list[list[Term]] = []
        by_key: dict[str, list[Term]] = {}
        for term in self.terms:
            if term.is_negated or term.op != "=" or term.key == WORD:
                groups.append([term])
            elif term.key in by_key:
                by_key[term.key].append(term)
            else:
                groups.append(by_key.setdefault(term.key, [term]))
        return groups
