"""Egress sources, pools and the rules that choose a pool (access/egress.py acts)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Status
from ninja import Schema as Base
from pydantic import Field

from dashboard.api.errors import Error
from dashboard.api.keys import Asks, Needs, actor
from dashboard.api.sites import Strict
from queueapp.access import egress
from queueapp.models import EgressPool, EgressRule, EgressSource

router = Router(tags=["egress"])
_REFUSALS = {(401, 403, 404, 409, 422, 503): Error}
_READ = {(401, 403, 503): Error}


class SourceIn(Strict):
    name: str
    address: str
    ehlo_name: str
    is_active: bool = True
    warmup_from: date | None = None
    warmup_until: date | None = None
    warmup_first: int = 50
    warmup_factor: float = 1.5


class SourceChange(Strict):
    """A field that is not there stays as it is."""

    ehlo_name: str = ""
    is_active: bool = True
    reason: str = Field("", max_length=255)
    warmup_from: date | None = None
    warmup_until: date | None = None
    warmup_first: int = 50
    warmup_factor: float = 1.5


class SourceOut(Base):
    id: int
    name: str
    address: str
    ehlo_name: str
    is_active: bool
    drained_at: datetime | None
    drained_reason: str
    warmup_from: date | None
    warmup_until: date | None
    warmup_first: int
    warmup_factor: float
    cap_today: int | None
    pools: list[str]


class MemberIn(Strict):
    source: int
    weight: int = 1


class PoolIn(Strict):
    name: str
    members: list[MemberIn] = Field(default_factory=list, max_length=500)


class PoolChange(Strict):
    name: str | None = None
    members: list[MemberIn] | None = Field(None, max_length=500)


class MemberOut(Base):
    source: int
    name: str
    address: str
    weight: int
    is_active: bool


class PoolOut(Base):
    id: int
    name: str
    members: list[MemberOut]


class RuleIn(Strict):
    kind: str
    value: str
    pool: int
    position: int = Field(100, ge=-1_000_000, le=1_000_000)


class RuleOut(Base):
    id: int
    kind: str
    value: str
    pool: int
    pool_name: str
    position: int


@router.get("/sources", auth=Needs("read"), response={200: list[SourceOut], **_READ})
def sources(request: HttpRequest) -> list[dict[str, Any]]:
    """The local addresses that mail may leave from."""
    return [_source(row) for row in EgressSource.objects.order_by("name")]


@router.post("/sources", auth=Asks("admin"), response={201: SourceOut, **_REFUSALS})
def create_source(request: HttpRequest, asked: SourceIn) -> Status[dict[str, Any]]:
    """A new one; with `warmup_from` it begins slowly."""
    return Status(201, _source(egress.create_source(actor(request), asked.dict())))


@router.patch("/sources/{source_id}", auth=Asks("admin"), response={200: SourceOut, **_REFUSALS})
def change_source(request: HttpRequest, source_id: int, asked: SourceChange) -> dict[str, Any]:
    """Drain it (`is_active: false`, with a reason), make it active again, change name or warm-up."""
    return _source(egress.change_source(actor(request), source_id, asked.dict(exclude_unset=True)))


@router.get("/pools", auth=Needs("read"), response={200: list[PoolOut], **_READ})
def pools(request: HttpRequest) -> list[dict[str, Any]]:
    """Sources that share mail by weight."""
    return [_pool(row) for row in EgressPool.objects.order_by("name")]


@router.post("/pools", auth=Asks("admin"), response={201: PoolOut, **_REFUSALS})
def create_pool(request: HttpRequest, asked: PoolIn) -> Status[dict[str, Any]]:
    """A weight of 0 is a reserve: used where no other source of the pool may be."""
    return Status(201, _pool(egress.create_pool(actor(request), asked.name, _members(asked.members) or [])))


@router.patch("/pools/{pool_id}", auth=Asks("admin"), response={200: PoolOut, **_REFUSALS})
def change_pool(request: HttpRequest, pool_id: int, asked: PoolChange) -> dict[str, Any]:
    """`members` replaces all of them."""
    return _pool(egress.change_pool(actor(request), pool_id, asked.name, _members(asked.members)))


@router.get("/egress-rules", auth=Needs("read"), response={200: list[RuleOut], **_READ})
def rules(request: HttpRequest) -> list[dict[str, Any]]:
    """Which login, sender domain or tag takes which pool; the first that matches decides."""
    return [_rule(row) for row in EgressRule.objects.select_related("pool")]


@router.post("/egress-rules", auth=Asks("admin"), response={201: RuleOut, **_REFUSALS})
def create_rule(request: HttpRequest, asked: RuleIn) -> Status[dict[str, Any]]:
    """`kind` is login, sender_domain or tag."""
    made = egress.create_rule(actor(request), asked.kind, asked.value, asked.pool, asked.position)
    return Status(201, _rule(made))


@router.delete("/egress-rules/{rule_id}", auth=Asks("admin"), response={204: None, **_REFUSALS})
def delete_rule(request: HttpRequest, rule_id: int) -> Status[None]:
    """Its mail takes the next rule's pool, or the route's."""
    egress.delete_rule(actor(request), rule_id)
    return Status(204, None)


def _members(members: list[MemberIn] | None) -> list[tuple[int, int]] | None:
    return None if members is None else [(each.source, each.weight) for each in members]


def _source(row: EgressSource) -> dict[str, Any]:
    return {
        "id": row.pk, "name": row.name, "address": row.address, "ehlo_name": row.ehlo_name,
        "is_active": row.is_active, "drained_at": row.drained_at, "drained_reason": row.drained_reason,
        "warmup_from": row.warmup_from, "warmup_until": row.warmup_until,
        "warmup_first": row.warmup_first, "warmup_factor": row.warmup_factor,
        "cap_today": row.daily_cap(timezone.now().date()),
        "pools": list(row.pools.order_by("name").values_list("name", flat=True)),
    }  # fmt: skip


def _pool(row: EgressPool) -> dict[str, Any]:
    members = row.members.select_related("source").order_by("source__name")
    return {
        "id": row.pk,
        "name": row.name,
        "members": [
            {
                "source": each.source_id, "name": each.source.name, "address": each.source.address,
                "weight": each.weight, "is_active": each.source.is_active,
            }
            for each in members
        ],
    }  # fmt: skip


def _rule(row: EgressRule) -> dict[str, Any]:
    return {
        "id": row.pk, "kind": row.kind, "value": row.value, "pool": row.pool_id,
        "pool_name": row.pool.name, "position": row.position,
    }  # fmt: skip
