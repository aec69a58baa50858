"""Change where mail leaves from: sources, pools, and the rules that choose a pool.

Each is one change with its audit row (access/change.py). A source that is in use can be drained, and
is never removed: the history names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from ipaddress import ip_address
from typing import Any

from django.db import IntegrityError
from django.utils import timezone

from queueapp.access.change import Actor, Missing, Taken, Wrong, change, known
from queueapp.models import EgressPool, EgressRule, EgressSource, PoolMember

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9-]{1,63})*\Z")
_MOST_MEMBERS, _MOST_WEIGHT = 500, 10_000


def create_source(actor: Actor, values: Mapping[str, Any]) -> EgressSource:
    """`name`, `address`, `ehlo_name`, and the fields of `change_source`."""
    with change(actor, "admin", "source.create", str(values.get("name", ""))) as detail:
        made = EgressSource(name=_name(values.get("name")))
        _fill(made, {"address": "", "ehlo_name": "", **values})
        _save(made, f"The name {made.name!r} or the address {made.address} is another source's.")
        detail |= _facts(made)
    return made


def change_source(actor: Actor, pk: int, values: Mapping[str, Any]) -> EgressSource:
    """`ehlo_name`, `is_active` with `reason` (no: drain it), `warmup_from`, `warmup_until` (days or None),
    `warmup_first`, `warmup_factor`."""
    with change(actor, "admin", "source.change", f"source {pk}") as detail:
        row = EgressSource.objects.select_for_update().filter(pk=known(pk)).first()
        if row is None:
            raise Missing(f"There is no source {pk}.")
        detail |= {"target": row.name, "before": _facts(row)}
        _fill(row, values)
        _save(row, f"The address {row.address} is another source's.")
        detail["after"] = _facts(row)
    return row


def create_pool(actor: Actor, name: str, members: Sequence[tuple[int, int]]) -> EgressPool:
    """`members`: (source, weight) each."""
    with change(actor, "admin", "pool.create", name) as detail:
        made = EgressPool(name=_name(name))
        _save(made, f"There is a pool {name!r} already.")
        _set_members(made, members)
        detail["members"] = [list(each) for each in members]
    return made


def change_pool(
    actor: Actor, pk: int, name: str | None, members: Sequence[tuple[int, int]] | None
) -> EgressPool:
    """What is None stays as it is."""
    with change(actor, "admin", "pool.change", f"pool {pk}") as detail:
        pool = EgressPool.objects.select_for_update().filter(pk=known(pk)).first()
        if pool is None:
            raise Missing(f"There is no pool {pk}.")
        detail["target"] = pool.name
        if name is not None:
            pool.name = detail["name"] = _name(name)
            _save(pool, f"There is a pool {name!r} already.")
        if members is not None:
            _set_members(pool, members)
            detail["members"] = [list(each) for each in members]
    return pool


def create_rule(actor: Actor, kind: str, value: str, pool_id: int, position: int = 100) -> EgressRule:
    """Mail of this `login`, `sender_domain` or `tag` takes that pool."""
    with change(actor, "admin", "egress_rule.create", f"{kind} {value}"[:255]) as detail:
        if kind not in EgressRule.Kind.values:
            raise Wrong("kind", f"kind {kind[:40]!r} is not one of {', '.join(EgressRule.Kind.values)}")
        if not value or len(value) > 255 or not value.isprintable():
            raise Wrong("value", "value is not 1 to 255 printable characters")
        if not EgressPool.objects.filter(pk=known(pool_id)).exists():
            raise Wrong("pool", f"there is no pool {pool_id}")
        made = EgressRule(kind=kind, value=value.lower(), pool_id=pool_id, position=position)
        _save(made, f"There is a rule for {kind} {value!r} already.")
        detail |= {"pool": pool_id, "position": position}
    return made


def delete_rule(actor: Actor, pk: int) -> None:
    with change(actor, "admin", "egress_rule.delete", f"rule {pk}") as detail:
        row = EgressRule.objects.filter(pk=known(pk)).first()
        if row is None:
            raise Missing(f"There is no rule {pk}.")
        detail |= {"target": f"{row.kind} {row.value}"[:255], "pool": row.pool_id}
        row.delete()


def _fill(row: EgressSource, values: Mapping[str, Any]) -> None:
    if "address" in values:
        row.address = _address(values["address"])
    if "ehlo_name" in values:
        if not _HOST.match(str(values["ehlo_name"])):
            raise Wrong("ehlo_name", f"ehlo_name {str(values['ehlo_name'])[:80]!r} is not a host name")
        row.ehlo_name = values["ehlo_name"]
    if "is_active" in values and bool(values["is_active"]) != row.is_active:
        row.is_active = bool(values["is_active"])
        row.drained_at = None if row.is_active else timezone.now()
        row.drained_reason = "" if row.is_active else str(values.get("reason") or "")[:255]
    for field in ("warmup_from", "warmup_until"):
        if field in values:
            setattr(row, field, values[field])
    if "warmup_first" in values:
        row.warmup_first = _within("warmup_first", values["warmup_first"], 1, 1_000_000)
    if "warmup_factor" in values:
        row.warmup_factor = _within("warmup_factor", values["warmup_factor"], 1.0, 10.0)
    if row.warmup_from and row.warmup_until and row.warmup_until <= row.warmup_from:
        raise Wrong("warmup_until", f"warmup_until {row.warmup_until} is not after {row.warmup_from}")


def _set_members(pool: EgressPool, members: Sequence[tuple[int, int]]) -> None:
    if len(members) > _MOST_MEMBERS:
        raise Wrong("members", f"{len(members)} members are more than {_MOST_MEMBERS}")
    ids = [source for source, _ in members]
    if len(set(ids)) != len(ids):
        raise Wrong("members", "a source is there twice")
    unknown = set(ids) - set(
        EgressSource.objects.filter(pk__in=[known(pk) for pk in ids]).values_list("pk", flat=True)
    )
    if unknown:
        raise Wrong("members", f"there is no source {min(unknown)}")
    PoolMember.objects.filter(pool=pool).delete()
    PoolMember.objects.bulk_create(
        [
            PoolMember(pool=pool, source_id=source, weight=_within("weight", weight, 0, _MOST_WEIGHT))
            for source, weight in members
        ]
    )


def _save(row: EgressSource | EgressPool | EgressRule, otherwise: str) -> None:
    try:
        row.save()
    except IntegrityError:
        raise Taken(otherwise) from None


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Wrong("name", f"name {str(value)[:80]!r} is not 1 to 64 letters, digits and . _ -")
    return value


def _address(value: Any) -> str:
    try:
        return str(ip_address(str(value)))
    except ValueError:
        raise Wrong("address", f"address {str(value)[:80]!r} is not an IP address") from None


def _within(field: str, value: Any, low: float, high: float) -> Any:
    if not low <= value <= high:
        raise Wrong(field, f"{field} {value!r} is not from {low} to {high}")
    return value


def _facts(row: EgressSource) -> dict[str, Any]:
    names = ("address", "ehlo_name", "is_active", "drained_reason", "warmup_first", "warmup_factor")
    days = ("warmup_from", "warmup_until")
    return {name: getattr(row, name) for name in names} | {
        name: day.isoformat() if isinstance(day := getattr(row, name), date) else None for name in days
    }
