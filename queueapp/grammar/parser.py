"""From text to terms: keys, operators, quotes, escapes, wildcards. Says where a mistake stands."""

from __future__ import annotations

import re

from .query import UNITS, WORD, GrammarError, Op, Query, Term, Text
from .values import COMPARED, EXAMPLES, READERS, Wrong, guess

MAX_TEXT = 2_000
MAX_TERMS = 50

_KEY = re.compile(r"([A-Za-z_]{1,40})(:(?:>=|<=|>|<)|>=|<=|:|=|>|<)")
_SPACES = dict.fromkeys(map(ord, "\t\n\r\u00a0\u3000"), " ")
# All but the joiners U+200C and U+200D, which some scripts and emoji are written with.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def parse(text: str) -> Query:
    """Read a search. Raises GrammarError."""
    if len(text) > MAX_TEXT:
        raise GrammarError(f"the search is longer than {MAX_TEXT} characters", MAX_TEXT, len(text) - MAX_TEXT)
    text = text.translate(_SPACES)
    if found := _HIDDEN.search(text):
        why = f"an invisible or control character (U+{ord(found.group()):04X})"
        raise GrammarError(why, found.start(), 1, "Take it out.")
    terms: list[Term] = []
    at = _skip_space(text, 0)
    while at < len(text):
        if len(terms) == MAX_TERMS:
            raise GrammarError(f"more than {MAX_TERMS} terms", at, len(text) - at)
        terms.append(_term(text, at))
        at = _skip_space(text, terms[-1].end)
    return Query(tuple(terms))


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _term(text: str, start: int) -> Term:
    is_negated = text[start] == "-"
    at = start + is_negated
    found = _KEY.match(text, at)
    if not found:
        if text[at : at + 1] in (":", "=", "<", ">"):
            raise GrammarError(
                f"there is no key before {text[at]!r}", at, 1, "Write key:value without spaces."
            )
        word, end = _read(text, at)
        if word == Text(("",)):
            raise GrammarError("there is nothing to search for", start, max(end - start, 1))
        return Term(WORD, "=", word, is_negated, start, end)
    key, sign = found.group(1).lower(), found.group(2)
    if key not in READERS:
        hint = guess(key, READERS) or f'To search for the text itself, put it in quotes: "{found.group()}…".'
        raise GrammarError(f"unknown key {key!r}: one of {', '.join(READERS)}", at, len(key), hint)
    if key not in COMPARED and sign.startswith(":"):
        sign = ":"  # in from:<> and msgid:<x@y> the value begins with it
    op = _op(key, sign, at + len(key))
    begin = at + len(key) + len(sign)
    value, end = _read(text, begin)
    if begin == end:
        raise GrammarError(f"{key}{sign} needs a value right behind it", at, begin - at, EXAMPLES[key])
    try:
        return Term(key, op, READERS[key](key, value), is_negated, start, end)
    except Wrong as wrong:
        raise GrammarError(wrong.why, begin, end - begin, wrong.hint or EXAMPLES[key]) from None


def _op(key: str, sign: str, at: int) -> Op:
    op: Op = sign.removeprefix(":") or "="  # type: ignore[assignment]
    if op != "=" and key not in COMPARED:
        raise GrammarError(f"{key} can't be compared with {op}", at, len(sign), EXAMPLES[key])
    if op == "=" and key in UNITS:
        raise GrammarError(f"{key} needs < or >", at, len(sign), EXAMPLES[key])
    return op


def _read(text: str, at: int) -> tuple[Text, int]:
    """A value from `at` on: (its text, its end)."""
    if text.startswith('"', at):
        return _quoted(text, at)
    parts, end = [""], at
    while end < len(text) and not text[end].isspace():
        char = text[end]
        if char == '"':
            raise GrammarError("a quote in the middle", end, 1, 'Quote the whole value, or write \\".')
        if char == "\\":
            end += 1
            char = _escaped(text, end)
            parts[-1] += char
        elif char == "*":
            # Two wildcards side by side are one.
            if parts[-1] or len(parts) == 1:
                parts.append("")
        else:
            parts[-1] += char
        end += 1
    return Text(tuple(parts)), end


def _quoted(text: str, at: int) -> tuple[Text, int]:
    out, end = "", at + 1
    while end < len(text) and text[end] != '"':
        if text[end] == "\\":
            end += 1
            out += _escaped(text, end)
        else:
            out += text[end]
        end += 1
    if end >= len(text):
        raise GrammarError("the quote is not closed", at, len(text) - at, 'Write a " at its end.')
    end += 1
    if end < len(text) and not text[end].isspace():
        raise GrammarError("text right behind a closing quote", end, 1, "Put a space there.")
    return Text((out,)), end


def _escaped(text: str, at: int) -> str:
    if at >= len(text):
        raise GrammarError("a backslash with nothing behind it", at - 1, 1, "Write \\\\ for a backslash.")
    return text[at]
