"""Recipient domains by name: found, or made at first sight, and remembered for this process.

Rows are never deleted, so a remembered id stays right for good. Inside a caller's transaction
nothing is remembered: it could be rolled back, and the domain with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

from queueapp.models import RecipientDomain

_REMEMBERED = 100_000
_ids: dict[str, int] = {}


def ids_of(names: Iterable[str]) -> dict[str, int]:
    """Name to id. Call it before the transaction that uses the ids: a new domain is committed at
    once, so that two processes that meet the same new domain don't wait for each other's batch."""
    wanted = set(names)
    found = {name: _ids[name] for name in wanted if name in _ids}
    missing = sorted(wanted - found.keys())
    if missing:
        found |= _find(missing)
        unknown = [name for name in missing if name not in found]
        if unknown:
            RecipientDomain.objects.bulk_create(
                [RecipientDomain(name=name) for name in unknown], ignore_conflicts=True
            )
            found |= _find(unknown)
        if not connection.in_atomic_block:
            if len(_ids) > _REMEMBERED:
                _ids.clear()
            _ids.update(found)
    return found


def forget() -> None:
    """For tests, which roll rows back."""
    _ids.clear()


def _find(names: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(names), 500):
        rows = RecipientDomain.objects.filter(name__in=names[start : start + 500]).values_list("name", "id")
        found.update(rows)
    return found
