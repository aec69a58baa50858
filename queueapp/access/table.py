"""CSV as RFC 4180 has it, that a spreadsheet opens without formulas, whatever a stranger wrote: a cell that
begins with one of = + - @ or with a control character that some skip gets an apostrophe."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")


def written(rows: Iterable[Iterable[Any]]) -> str:
    """Rows of values as text; None is an empty cell."""
    out = io.StringIO()
    csv.writer(out).writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_RISKY) else text
