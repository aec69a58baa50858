"""Which address a mail leaves from: pools of egress sources, and what stands in the way of each.

A `Book` is what the database says of sources, pools, rules and suspensions; a runner loads it anew
when its revision changes. Rules come first, in their order; then the route's own pool or source; else
the address that the system chooses.

Promises: a drained source, one that the site has blocked, and one in warm-up whose day is used up are
not chosen. Where none is left, `why_none` says why, and until when.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address

from django.utils import timezone

from queueapp.models import (
    Effect,
    EgressPool,
    EgressRule,
    EgressSource,
    RuleAction,
    RuleScope,
    Suspension,
)
from queueapp.transports.base import Options, Outcome

# How long mail waits where every source is drained: nobody knows when that ends.
_DRAINED_WAIT = timedelta(minutes=5)
Left = Callable[[int, int], int]
"""(source, site) to how many mails its warm-up leaves for today."""


@dataclass(frozen=True, slots=True)
class Source:
    """`pk` 0 is the address that the system chooses."""

    pk: int
    name: str = "default"
    address: str = ""
    ehlo_name: str = ""
    is_active: bool = True
    is_here: bool = True
    """Whether this machine has the address; several machines have different ones."""
    daily_cap: Callable[[date], int | None] = lambda day: None

    @property
    def family(self) -> int:
        """4 or 6; 0 fits both."""
        return ip_address(self.address).version if self.address else 0

    def options(self, base: Options) -> Options:
        if not self.address:
            return base
        return replace(base, ehlo_name=self.ehlo_name or base.ehlo_name, source_address=self.address)


DEFAULT = Source(0)


@dataclass(frozen=True, slots=True)
class Pool:
    """`key` tells pools apart; a single source and the system's choice are pools, too."""

    key: str
    name: str
    members: tuple[tuple[Source, int], ...]


NO_POOL = Pool("", "default", ((DEFAULT, 1),))


@dataclass(frozen=True, slots=True)
class Block:
    """A suspension that holds."""

    until: datetime
    reply_class: str
    reply: str
    is_soft: bool = False
    """Only where another source may be used."""


@dataclass(slots=True)
class Book:
    pools: dict[int, Pool] = field(default_factory=dict)
    singles: dict[int, Pool] = field(default_factory=dict)
    rules: list[tuple[str, str, int]] = field(default_factory=list)
    blocks: dict[tuple[int, int], Block] = field(default_factory=dict)
    """By source (0: the default one) and site."""
    stops: dict[int, Block] = field(default_factory=dict)
    """Sites that a rule has suspended."""

    @property
    def asks_message(self) -> bool:
        """Whether a rule looks at what a claim doesn't hold: login or tags."""
        return any(kind != EgressRule.Kind.SENDER_DOMAIN for kind, _, _ in self.rules)

    def pool_for(
        self, pool_id: int | None, source_id: int | None, sender: str, login: str, tags: Iterable[str]
    ) -> Pool:
        """By the rules, else the route's."""
        by_rule = self._by_rule(sender, login, tags) if self.rules else None
        if by_rule:
            return by_rule
        if pool_id in self.pools:
            return self.pools[pool_id]
        return self.singles.get(source_id or 0, NO_POOL)

    def is_by_rule(self, sender: str, login: str, tags: Iterable[str]) -> bool:
        return self._by_rule(sender, login, tags) is not None

    def _by_rule(self, sender: str, login: str, tags: Iterable[str]) -> Pool | None:
        found = {
            EgressRule.Kind.LOGIN: {login.lower()} if login else set(),
            EgressRule.Kind.SENDER_DOMAIN: {sender.rpartition("@")[2].lower()},
            EgressRule.Kind.TAG: {tag.lower() for tag in tags},
        }
        for kind, value, pool_id in self.rules:
            if value in found.get(EgressRule.Kind(kind), set()) and pool_id in self.pools:
                return self.pools[pool_id]
        return None

    def renewed(self, pool: Pool) -> Pool:
        """The same pool as it is now."""
        for known in (*self.pools.values(), *self.singles.values()):
            if known.key == pool.key:
                return known
        return pool if not pool.key else Pool(pool.key, pool.name, ())

    def usable(
        self, pool: Pool, site_id: int, left: Left, families: Collection[int] = ()
    ) -> list[tuple[Source, int]]:
        """The pool's sources that may be used for the site now, with their weights; those of weight 0 only
        where there is no other."""
        if pool is NO_POOL and (0, site_id) not in self.blocks:
            return [(DEFAULT, 1)]
        now = timezone.now()
        found = [
            (source, weight)
            for source, weight in pool.members
            if source.is_active
            and source.is_here
            and self.block(source, site_id, now) is None
            and (not families or not source.family or source.family in families)
            and (source.daily_cap(now.date()) is None or left(source.pk, site_id) > 0)
        ]
        if any(self._is_soft(source, site_id, now) for source, _ in found):
            hard = [each for each in found if not self._is_soft(each[0], site_id, now)]
            found = hard or found
        return [each for each in found if each[1]] or [(source, 1) for source, _ in found]

    def _is_soft(self, source: Source, site_id: int, now: datetime) -> bool:
        found = self.blocks.get((source.pk, site_id))
        return found is not None and found.is_soft and found.until > now

    def stop(self, site_id: int) -> Block | None:
        """What a rule says of the whole site."""
        found = self.stops.get(site_id) if self.stops else None
        return found if found and found.until > timezone.now() else None

    def block(self, source: Source, site_id: int, now: datetime) -> Block | None:
        """What keeps the source from being used, whatever else there is."""
        found = self.blocks.get((source.pk, site_id))
        return found if found and found.until > now and not found.is_soft else None

    def has_other(self, pool: Pool, site_id: int, source: Source, left: Left) -> bool:
        """Whether mail of the pool has a way round this source."""
        return any(each.pk != source.pk for each, _ in self.usable(pool, site_id, left))

    def is_elsewhere(self, pool: Pool, site_id: int) -> bool:
        """Whether only another machine has a source of the pool that may be used."""
        now = timezone.now()
        return any(
            source.is_active and not source.is_here and self.block(source, site_id, now) is None
            for source, _ in pool.members
        )

    def why_none(self, pool: Pool, site_id: int, site_name: str) -> tuple[Outcome, datetime]:
        """Where `usable` is empty: the cause for each delivery, and when to try again."""
        now = timezone.now()
        blocks = [each for source, _ in pool.members
                  if source.is_active and (each := self.block(source, site_id, now))]  # fmt: skip
        active = [source for source, _ in pool.members if source.is_active]
        if len(active) > len(blocks):
            names = ", ".join(source.name for source in active if not self.block(source, site_id, now))
            tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
            text = f"warm-up: what {names} may send to {site_name} today is used up"
            until = min([tomorrow, *(each.until for each in blocks)])
            return Outcome("deferred", "rate_limited", text=text, host=site_name, rule="warm-up"), until
        if blocks:
            first = min(blocks, key=lambda each: each.until)
            outcome = Outcome(
                "deferred", first.reply_class, text=first.reply, host=site_name, rule="suspension"
            )
            return outcome, first.until
        text = (
            f"no source of the pool {pool.name} is active"
            if pool.members
            else f"the pool {pool.name} is empty"
        )
        return Outcome("deferred", "other", text=text, host=site_name, rule="drained"), now + _DRAINED_WAIT


def choose(found: list[tuple[Source, int]]) -> Source:
    """One of them by weight."""
    if len(found) == 1:
        return found[0][0]
    return random.choices([source for source, _ in found], [weight for _, weight in found])[0]


def is_here(address: str) -> bool:
    """Whether a socket of this machine can have the address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def load() -> Book:
    """What the database says now."""
    rows = {row.pk: row for row in EgressSource.objects.all()}
    sources = {
        pk: Source(
            pk, row.name, row.address, row.ehlo_name, row.is_active, is_here(row.address), row.daily_cap
        )
        for pk, row in rows.items()
    }
    pools = {
        pool.pk: Pool(
            f"pool:{pool.pk}",
            pool.name,
            tuple((sources[each.source_id], each.weight) for each in pool.members.all()),
        )
        for pool in EgressPool.objects.prefetch_related("members")
    }
    singles = {pk: Pool(f"source:{pk}", source.name, ((source, 1),)) for pk, source in sources.items()}
    rules = [(each.kind, each.value.lower(), each.pool_id) for each in EgressRule.objects.all()]
    blocks = {
        (each.source_id or 0, each.site_id): Block(each.until, each.reply_class, each.reply, each.is_soft)
        for each in Suspension.objects.filter(until__gt=timezone.now())
    }
    return Book(pools, singles, rules, blocks, _stops())


def _stops() -> dict[int, Block]:
    found = Effect.objects.open(timezone.now()).filter(action=RuleAction.SUSPEND, scope=RuleScope.SITE)
    return {
        each.site_id: Block(each.until, each.reply_class, each.reply)
        for each in found
        if each.site_id and each.until
    }
