"""Catalogues of translations for tests: reads .po files, and makes a language that marks each sentence."""

from __future__ import annotations

import ast
import re
import struct
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGLISH = ROOT / "locale" / "en" / "LC_MESSAGES"
LANGUAGE = "eo"
OPEN, CLOSE = "⟦", "⟧"
_HEAD = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"
_ENTRY = re.compile(r'^msgid ((?:".*"\n)+)(?:msgid_plural ((?:".*"\n)+))?', re.M)


def sentences(domain: str) -> list[tuple[str, str]]:
    """(sentence, plural or "") of an English catalogue."""
    text = (ENGLISH / f"{domain}.po").read_text()
    found = [(_joined(match[1]), _joined(match[2] or "")) for match in _ENTRY.finditer(text)]
    return [each for each in found if each[0]]


def _joined(quoted: str) -> str:
    return "".join(ast.literal_eval(line) for line in quoted.splitlines())


def marked(text: str) -> str:
    return f"{OPEN}{text}{CLOSE}"


def write(folder: Path) -> None:
    """A language in which each sentence stands in brackets, as Django wants it under LOCALE_PATHS."""
    place = folder / LANGUAGE / "LC_MESSAGES"
    place.mkdir(parents=True)
    for domain in ("django", "djangojs"):
        entries = {"": _HEAD}
        for one, many in sentences(domain):
            if many:
                entries[f"{one}\0{many}"] = f"{marked(one)}\0{marked(many)}"
            else:
                entries[one] = marked(one)
        (place / f"{domain}.mo").write_bytes(_mo(entries))


def _mo(entries: dict[str, str]) -> bytes:
    """The file format of GNU gettext: two sorted tables of (length, offset), then the texts."""
    keys = sorted(entries, key=str.encode)
    pairs = [(key.encode(), entries[key].encode()) for key in keys]
    n, start = len(pairs), 28 + 16 * len(pairs)
    tables, texts = [b"", b""], b""
    for side in (0, 1):
        for pair in pairs:
            tables[side] += struct.pack("<II", len(pair[side]), start + len(texts))
            texts += pair[side] + b"\0"
    head = struct.pack("<IIIIIII", 0x950412DE, 0, n, 28, 28 + 8 * n, 0, 0)
    return head + tables[0] + tables[1] + texts
