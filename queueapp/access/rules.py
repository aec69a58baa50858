"""Write, switch and remove rules of back-off. Runners follow within seconds.

A rule that is shipped can be switched and moved, and nothing else: an upgrade renews what it says. Whoever
wants it otherwise writes a rule of their own above it. Every change leaves an audit row, a refused one too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from queueapp.access.change import Actor, Missing, Taken, Wrong, change, known
from queueapp.access.rule_values import checked
from queueapp.engine.rules import shipped
from queueapp.models import BackoffRule

MOST = 500
_OF_SHIPPED = {"is_enabled", "position"}


def create(actor: Actor, values: Mapping[str, Any]) -> BackoffRule:
    """Raises AccessError."""
    with change(actor, "admin", "rule.create", str(values.get("name", ""))[:255]) as detail:
        if BackoffRule.objects.count() >= MOST:
            raise Taken(f"There are {MOST} rules already: remove one first.")
        row = checked(BackoffRule(made_by=actor.name[:150]), values)
        _save(row)
        detail |= {"rule": plain(row)}
    return row


def update(actor: Actor, pk: int, values: Mapping[str, Any]) -> BackoffRule:
    """What is not there stays as it is. Raises AccessError."""
    with change(actor, "admin", "rule.change", f"rule {pk}") as detail:
        row = _locked(pk)
        before = plain(row)
        if row.is_shipped and (more := values.keys() - _OF_SHIPPED):
            raise Wrong(
                min(more),
                f"{row.name!r} is shipped: it can be switched and moved. Write a rule of your own above it.",
            )
        checked(row, values)
        _save(row)
        after = plain(row)
        changed = [name for name in after if after[name] != before[name]]
        detail |= {"target": row.name, "before": {name: before[name] for name in changed}}
        detail["after"] = {name: after[name] for name in changed}
    return row


def delete(actor: Actor, pk: int) -> None:
    """Effects that hold go on to their end. Raises AccessError."""
    with change(actor, "admin", "rule.delete", f"rule {pk}") as detail:
        row = _locked(pk)
        if row.is_shipped:
            raise Taken(f"{row.name!r} is shipped and would come back: switch it off instead.")
        detail |= {"target": row.name, "rule": plain(row)}
        row.delete()


def named(pk: int) -> BackoffRule:
    """Raises Missing."""
    row = BackoffRule.objects.filter(pk=known(pk)).first()
    if row is None:
        raise Missing(f"There is no rule {pk}.")
    return row


def listed() -> list[BackoffRule]:
    """All in their order; those that are new with this version get their rows first."""
    shipped.sync()
    return list(BackoffRule.objects.all())


def _locked(pk: int) -> BackoffRule:
    row = BackoffRule.objects.select_for_update().filter(pk=known(pk)).first()
    if row is None:
        raise Missing(f"There is no rule {pk}.")
    return row


def _save(row: BackoffRule) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise Taken(f"There is a rule named {row.name!r} already.") from None


_PLAIN = ("name", "about", "position", "is_enabled", "condition", "classes", "texts", "codes", "lines",
          "sites", "n_hits", "factor", "scope", "action", "rate", "share", "growth")  # fmt: skip


def plain(row: BackoffRule) -> dict[str, Any]:
    """A rule as the API tells and takes it: times in seconds."""
    return {
        **{name: getattr(row, name) for name in _PLAIN},
        "per": row.per.total_seconds(),
        "lasts": row.lasts.total_seconds() if row.lasts is not None else None,
        "cap": row.cap.total_seconds(),
    }
