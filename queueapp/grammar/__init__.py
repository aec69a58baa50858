"""The search grammar of pages, API, command line, bulk actions and alert rules: text to a Query.

    state:deferred domain:example.com age>2h -class:greylisted subject:"big sale" news*

Terms stand side by side: several of one key are OR, different keys AND; comparisons, words without a
key and excluded terms (`-`) are AND each. `*` is any text, except in quotes; a backslash takes the next
character as it is. Durations: 30s 5m 2h 3d 1w, also 1h30m. Sizes: B KB MB GB, 1 MB = 1,000,000.

Pure: knows no database (models/matching.py does). Promises: bounded work; a mistake is a GrammarError
that says where and why, never a guess; `parse(str(query)) == query`.
"""

from __future__ import annotations

from .parser import MAX_TERMS, MAX_TEXT, parse
from .query import WORD, AddressText, GrammarError, Query, Term, Text
from .values import KEYS, SOURCES, STATES

__all__ = [
    "KEYS",
    "MAX_TERMS",
    "MAX_TEXT",
    "SOURCES",
    "STATES",
    "WORD",
    "AddressText",
    "GrammarError",
    "Query",
    "Term",
    "Text",
    "parse",
]
