"""Names of attachments as they may be saved under: a stranger chose them.

Promises: no path, no reading direction that turns, no hidden file, no device of Windows, at most MAX
characters with the ending kept, never empty.
"""

from __future__ import annotations

import re

from .headers import tame

MAX = 120
_FORBIDDEN = re.compile(r'[/\\:*?"<>|%]+')
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")


def for_saving(name: str, fallback: str) -> str:
    """`name` as it may be saved; `fallback` where nothing is left of it."""
    plain = "".join(each for each in _FORBIDDEN.sub("_", tame(name)) if each.isprintable())
    plain = plain.strip(" ._") if not plain.strip("_") else plain.strip(" .")
    if _DEVICE.match(plain):
        plain = f"_{plain}"
    if len(plain) > MAX:
        stem, dot, ending = plain.rpartition(".")
        kept = dot + ending if dot and len(ending) <= 16 else ""
        plain = plain[: MAX - len(kept)].rstrip(" .") + kept
    return plain or fallback
