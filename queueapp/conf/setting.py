"""How a setting is declared: its name, how it is read, its default, unit and reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import field
from typing import Any

_HIDDEN = "URL|PASSWORD|SECRET(_KEY)?$|SMTP$|KEYS$|ALERT_(WEBHOOK|SLACK|PING)"


def setting(name: str, parse: Callable[[str], Any], default: str, unit: str, reason: str) -> Any:
    """A field of a theme. `parse` takes the text and raises ValueError with what is allowed."""
    shown = not re.search(_HIDDEN, name) or name in ("MAILWEIR_SMTP", "MAILWEIR_URL")
    return field(
        repr=shown,
        metadata={"name": name, "parse": parse, "default": default, "unit": unit, "reason": reason},
    )


def for_people(name: str, text: str) -> str:
    """A value as a refusal may tell it: a mark in place of what may hold a secret."""
    is_secret = "@" in text or re.search(_HIDDEN + "|SECRET", name.replace("MAILWEIR_SMTP", ""))
    return "…" if is_secret else text
