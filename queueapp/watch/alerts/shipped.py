"""The alert rules that come with Mailweir: read from shipped.toml, and put into the database by `sync`.

Promises: a rule is added once, under its key; what somebody changed of it is theirs for good, and an upgrade
only adds rules that are new. A mistake in the file stops the import of whoever needs it, and names the rule.
"""

from __future__ import annotations

import tomllib
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from queueapp.conf import duration
from queueapp.models import AlertRule

_FILE = Path(__file__).with_name("shipped.toml")
_SPANS = ("holds_for", "clear_for", "remind_every")


@lru_cache(maxsize=1)
def entries() -> tuple[dict[str, Any], ...]:
    """Fields of AlertRule, one rule each."""
    known = {field.name for field in AlertRule._meta.concrete_fields}
    made = []
    for entry in tomllib.loads(_FILE.read_text(encoding="utf-8"))["rule"]:
        if unknown := entry.keys() - known:
            raise ValueError(f"rule {entry.get('key')!r} has unknown keys: {', '.join(sorted(unknown))}")
        made.append({**entry, **{name: _span(entry[name]) for name in _SPANS if name in entry}})
    return tuple(made)


def sync() -> int:
    """Add what is new. Safe on several machines at once; returns how many."""
    known = set(AlertRule.objects.filter(key__isnull=False).values_list("key", flat=True))
    fresh = [entry for entry in entries() if entry["key"] not in known]
    if not fresh:
        return 0
    names = set(AlertRule.objects.values_list("name", flat=True))
    rows = [
        # Somebody may have given the name to a rule of their own.
        AlertRule(
            **{**entry, "name": f"{entry['name']} (shipped)" if entry["name"] in names else entry["name"]}
        )
        for entry in fresh
    ]
    AlertRule.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _span(text: str) -> timedelta:
    return timedelta(0) if text == "0s" else duration(text)
