"""The form of a rule: what was typed becomes what access/rules.py takes, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from dashboard.snapshot import rules as words
from queueapp import conf
from queueapp.access.change import Wrong
from queueapp.mail.classes import CLASSES
from queueapp.models import BackoffRule

_AS_TYPED = ("name", "about", "condition", "classes", "scope", "action", "rate")
_SPANS = ("per", "lasts", "cap")
_NUMBERS = ("position", "n_hits", "share")
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))
_NEVER = {"delivered", "suppressed", "expired", "cancelled", "readdressed"}
_LONGEST = 4000


def choices() -> dict[str, Any]:
    return {
        "classes": [name for name in CLASSES if name not in _NEVER],
        "conditions": words.CONDITION_WORDS.items(),
        "scopes_of_rules": words.SCOPE_WORDS.items(),
        "actions": words.ACTION_WORDS.items(),
    }


def shown(row: BackoffRule) -> dict[str, Any]:
    """As the fields have it."""
    return {
        "name": row.name, "about": row.about, "position": row.position, "is_enabled": row.is_enabled,
        "condition": row.condition, "classes": row.classes, "texts": "\n".join(row.texts),
        "codes": ", ".join(row.codes), "sites": ", ".join(row.sites), "lines": ", ".join(row.lines),
        "n_hits": row.n_hits, "per": _written(row.per), "factor": f"{row.factor:g}", "scope": row.scope,
        "action": row.action, "rate": row.rate, "share": "" if row.share is None else row.share,
        "lasts": _written(row.lasts), "growth": f"{row.growth:g}", "cap": _written(row.cap),
    }  # fmt: skip


def typed(post: QueryDict) -> dict[str, Any]:
    """As the person left the fields, to be shown again."""
    kept: dict[str, Any] = {name: post.get(name, "")[:_LONGEST] for name in shown(BackoffRule())}
    return {**kept, "classes": post.getlist("classes"), "is_enabled": "is_enabled" in post}


def read(given: Mapping[str, Any]) -> dict[str, Any]:
    """What `typed` gives, as values. Raises Wrong."""
    values = {
        name: given[name] for name in ("name", "about", "condition", "classes", "scope", "action", "rate")
    }
    values["is_enabled"] = bool(given["is_enabled"])
    values["texts"] = [each.strip() for each in str(given["texts"]).splitlines() if each.strip()]
    for name in ("codes", "sites", "lines"):
        values[name] = [each.strip() for each in str(given[name]).split(",") if each.strip()]
    for name in _NUMBERS:
        values[name] = _whole(name, str(given[name]).strip())
    for name in ("growth", "factor"):
        values[name] = _decimal(name, str(given[name]).strip())
    for name in _SPANS:
        values[name] = _seconds(name, str(given[name]).strip())
    return {name: value for name, value in values.items() if value is not None or name in ("share", "lasts")}


def _whole(name: str, text: str) -> int | None:
    if not text:
        return None
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit() or len(text) > 9:
        raise Wrong(name, f"{name} {text[:40]!r} is not a whole number")
    return int(text)


def _decimal(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text[:20])
    except ValueError:
        raise Wrong(name, f"{name} {text[:40]!r} is not a number") from None


def _seconds(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        return conf.duration(text).total_seconds()
    except ValueError as error:
        raise Wrong(name, f"{name} {text[:40]!r} is not {error}") from None


def _written(value: Any) -> str:
    if value is None:
        return ""
    seconds = int(value.total_seconds())
    for size, unit in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
