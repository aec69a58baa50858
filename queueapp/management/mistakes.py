"""A mistake in a search, shown in a terminal with a caret below its place."""

from __future__ import annotations

from queueapp.grammar import GrammarError


def explained(text: str, error: GrammarError) -> str:
    shown = "".join(char if char.isprintable() else "?" for char in text)
    start = max(0, error.position - 60)
    caret = " " * (error.position - start) + "^" * max(1, min(error.length, 60))
    lines = [error.message, f"  {shown[start : start + 120]}", f"  {caret}"]
    return "\n".join(lines + ([error.hint] if error.hint else []))
