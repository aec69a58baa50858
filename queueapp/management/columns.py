"""Rows as aligned columns for a terminal: headings, cut to its width, nothing that could steer it."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterable, Sequence

_GAP = 2
_LEAST = 6


def printable(text: object) -> str:
    """One line without control characters: what strangers wrote must not move the cursor."""
    return "".join(char if char.isprintable() else "�" for char in str(text))


def width_of(text: str) -> int:
    """Columns that the text takes: wide East Asian characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def cut(text: str, width: int) -> str:
    """The text in `width` columns, with an ellipsis where something is left out."""
    if width_of(text) <= width:
        return text
    kept, used = "", 0
    for char in text:
        used += width_of(char)
        if used > width - 1:
            break
        kept += char
    return kept + "…"


def columns(
    headings: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: Sequence[str] = (),
    width: int | None = None,
) -> str:
    """A table; the columns named in `numbers` are right-aligned. The widest columns give way first."""
    table = [list(headings)] + [[printable(cell) for cell in row] for row in rows]
    widths = [max(width_of(row[i]) for row in table) for i in range(len(headings))]
    room = (width or shutil.get_terminal_size((100, 24)).columns) - _GAP * (len(headings) - 1)
    while sum(widths) > room and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1
    is_number = [heading in numbers for heading in headings]
    return "\n".join(_line(row, widths, is_number) for row in table)


def _line(row: Sequence[str], widths: Sequence[int], is_number: Sequence[bool]) -> str:
    cells = []
    for text, width, right in zip(row, widths, is_number, strict=True):
        shown = cut(text, width)
        pad = " " * (width - width_of(shown))
        cells.append(pad + shown if right else shown + pad)
    return (" " * _GAP).join(cells).rstrip()
