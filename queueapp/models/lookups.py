"""Comparisons that Django lacks, the same on SQLite and PostgreSQL: text by a pattern, tags in a list.

A text is given in parts, with any text between them; each part stands for itself. ASCII letters match
in either case. SQLite knows the case of no other letter, so those are tried as written, in small, in
capitals and as a beginning; PostgreSQL knows besides what its locale knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.db.models import CharField, JSONField, Lookup, Q

_WORD = re.compile("[a-z_]*")
_SPECIAL = re.compile(r"([\\%_])")


def is_like(field: str, parts: Sequence[str]) -> Q:
    """Rows whose field is the text."""
    return _any(f"{field}__like", parts, "")


def contains(field: str, parts: Sequence[str]) -> Q:
    """Rows whose field holds the text somewhere."""
    return _any(f"{field}__like", parts, "%")


def has_one(field: str, parts: Sequence[str]) -> Q:
    """Rows whose JSON list of texts has one that is the text."""
    return _any(f"{field}__has_like", parts, "")


def _any(lookup: str, parts: Sequence[str], around: str) -> Q:
    found = Q()
    for each in spellings(parts):
        pattern = "%".join(_SPECIAL.sub(r"\\\1", part) for part in each)
        found |= Q(**{lookup: f"{around}{pattern}{around}"})
    return found


def spellings(parts: Sequence[str]) -> list[tuple[str, ...]]:
    if all(part.isascii() for part in parts):
        return [tuple(parts)]
    ways = (str, str.lower, str.upper, str.capitalize)
    return list(dict.fromkeys(tuple(way(part) for part in parts) for way in ways))


@CharField.register_lookup
class Like(Lookup):
    """`field LIKE pattern` in any case, where a backslash makes a character mean itself."""

    lookup_name = "like"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        operator = "ILIKE" if connection.vendor == "postgresql" else "LIKE"
        return f"{left} {operator} %s ESCAPE '\\'", (*left_params, self.rhs)


@CharField.register_lookup
class Plainly(Lookup):
    """`field = value`, looked at row by row on SQLite: without statistics its planner would rather walk an
    index that has a million rows of that value than the few rows that are looked at anyway."""

    lookup_name = "plainly"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        hidden = "" if connection.vendor == "postgresql" else "+"
        return f"{hidden}{left} = %s", (*left_params, self.rhs)


@CharField.register_lookup
class Among(Lookup):
    """`field IN (…)` with words of our own written out: SQLite knows a partial index by its condition only
    where that stands in the query word for word, and never with parameters in it."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        words = [str(word) for word in self.rhs]
        if not all(_WORD.fullmatch(word) for word in words):
            raise ValueError(f"{words!r} are not words of ours")
        if len(words) == 1:
            return f"{left} = '{words[0]}'", tuple(left_params)
        listed = ", ".join(f"'{word}'" for word in words)
        return f"{left} IN ({listed})", tuple(left_params)


@JSONField.register_lookup
class HasLike(Lookup):
    """A JSON list of texts has one that is LIKE the pattern."""

    lookup_name = "has_like"
    prepare_rhs = False  # a pattern, not a JSON value

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        if connection.vendor == "postgresql":
            rows, operator = f"jsonb_array_elements_text({left}) AS tag(value)", "ILIKE"
        else:
            rows, operator = f"json_each({left}) AS tag", "LIKE"
        sql = f"EXISTS (SELECT 1 FROM {rows} WHERE tag.value {operator} %s ESCAPE '\\')"  # noqa: S608
        return sql, (*left_params, self.rhs)
