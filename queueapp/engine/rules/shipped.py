"""The rules that come with Mailweir: read from shipped.toml, and kept in the database by `sync`.

Promises: an upgrade adds rules that are new, and renews what a rule says; whether a rule is on, and its
position once somebody moved it, is the administrator's for good. A mistake in the file stops the import of
whoever needs it, and names the rule.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.db import transaction

from queueapp.conf import duration
from queueapp.mail.classes import BY_REPUTATION
from queueapp.models import BackoffRule, revision

_FILE = Path(__file__).with_name("shipped.toml")
_SPANS = ("per", "lasts", "cap")
_KEPT = ("is_enabled", "position", "key", "name")
"""What an upgrade leaves as it is."""
_DEFAULTS: dict[str, Any] = {
    field.name: field.get_default()
    for field in BackoffRule._meta.concrete_fields
    if field.name not in ("id", "changed_at", "made_by")
}


@lru_cache(maxsize=1)
def _entries() -> tuple[dict[str, Any], ...]:
    made = []
    for place, entry in enumerate(tomllib.loads(_FILE.read_text(encoding="utf-8"))["rule"], 1):
        if unknown := entry.keys() - _DEFAULTS.keys():
            raise ValueError(f"rule {entry.get('key')!r} has unknown keys: {', '.join(sorted(unknown))}")
        spans: dict[str, Any] = {name: duration(entry[name]) for name in _SPANS if name in entry}
        if entry.get("lines") == ["by_reputation"]:
            spans["lines"] = sorted(BY_REPUTATION)
        made.append({**_DEFAULTS, "position": 1000 + 10 * place, **entry, **spans})
    return tuple(made)


def rows() -> list[BackoffRule]:
    """As rows that are not saved."""
    return [BackoffRule(**entry) for entry in _entries()]


def sync() -> int:
    """Write what is new or was changed by an upgrade. Safe on several machines at once; returns how many."""
    with transaction.atomic():
        known = {row.key: row for row in BackoffRule.objects.filter(key__isnull=False)}
        names = set(BackoffRule.objects.values_list("name", flat=True))
        fresh = []
        for entry in _entries():
            if entry["key"] not in known:
                # Somebody may have given the name to a rule of their own.
                name = entry["name"] if entry["name"] not in names else f"{entry['name']} (shipped)"
                fresh.append(BackoffRule(**{**entry, "name": name}))
        BackoffRule.objects.bulk_create(fresh, ignore_conflicts=True)
        n = len(fresh)
        for entry in _entries():
            row = known.get(entry["key"])
            changed = {
                name: value
                for name, value in entry.items()
                if row is not None and name not in _KEPT and getattr(row, name) != value
            }
            if row is not None and changed:
                BackoffRule.objects.filter(pk=row.pk).update(**changed)
                n += 1
        if n:
            revision.bump()
    return n


def stored(key: str) -> BackoffRule:
    """The row of a shipped rule, made where it is missing."""
    found = BackoffRule.objects.filter(key=key).first()
    if found is None:
        sync()
        found = BackoffRule.objects.get(key=key)
    return found
