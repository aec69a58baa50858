"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "FAIL"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice` is what to do; empty where all is well."""

    name: str
    level: Level
    text: str
    advice: str = ""


def ok(name: str, text: str) -> Finding:
    return Finding(name, "ok", text)


def warn(name: str, text: str, advice: str) -> Finding:
    return Finding(name, "warn", text, advice)


def fail(name: str, text: str, advice: str) -> Finding:
    return Finding(name, "FAIL", text, advice)
