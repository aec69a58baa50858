"""Which way out a recipient domain takes, and the site that it belongs to.

`Router.plan(domain)` gives the endpoints to try, the options to talk with, and the Site whose
limits hold. MX look-ups are the transport's (transports/smtp/mx.py); what they fail with comes
back as a `NoWay` that holds the outcome for the domain's deliveries.

Promises: a plan is remembered for half a minute at most, so a changed Route row counts soon;
a domain's Site row is kept up to date, since claim and pages read it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.utils import timezone

from queueapp import conf
from queueapp.conf import Rate, rate_or_none
from queueapp.engine.counters import locked
from queueapp.engine.sts import Policies
from queueapp.engine.ways import Way, by_pattern, default_way, matches
from queueapp.mail.mta_sts import Policy
from queueapp.models import Site
from queueapp.models.bulk import ManyRows
from queueapp.transports.base import Endpoint, Options, Outcome
from queueapp.transports.smtp.mx import Destination, MxFailed, Resolver

_PLAN_TTL = 30.0
_ROUTES_TTL = 5.0
_MAX_PLANS = 50_000
_GONE = "the route that was chosen for it is gone: choose another one"
_Key = tuple[str, int | None]
T = TypeVar("T")
RunInDb = Callable[[Callable[[], T]], Awaitable[T]]


@dataclass(frozen=True, slots=True)
class Lead:
    """Where a way leads for one domain: the site by its key and name, its hosts, the endpoints to try."""

    way: Way
    key: str
    name: str
    hosts: list[tuple[int, str]]
    endpoints: tuple[Endpoint, ...]
    policy: Policy | None = None
    is_mx_secure: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """How to deliver to a domain. `endpoints` without addresses are resolved when they are tried."""

    site_id: int
    site_key: str
    site_name: str
    endpoints: tuple[Endpoint, ...]
    options: Options
    limits: SiteLimits
    n_failures: int
    backoff_until: datetime | None
    backoff_class: str
    backoff_reply: str
    domain_id: int = 0
    domain_rate: Rate | None = None
    pool_id: int | None = None
    source_id: int | None = None
    policy: Policy | None = None
    """MTA-STS, of the domain that the plan was made for: others of the site may have none."""
    is_suspended: bool = False
    """The site, by a person."""
    way: int = 0
    """The route: mail by another one shares neither line nor session, whatever their hosts are."""
    is_mx_secure: bool = True
    """Nobody on the way can have put other hosts there: DNSSEC, or no MX record was asked for."""


@dataclass(frozen=True, slots=True)
class SiteLimits:
    """What a site takes of all runners together."""

    max_sessions: int
    max_mails: int
    rate: Rate | None

    @classmethod
    def of(cls, site: Site) -> SiteLimits:
        """The site's own, else those of the settings."""
        current = conf.current()
        return cls(
            site.max_sessions or current.site_sessions,
            site.max_mails or current.session_mails,
            rate_of(slowed(site.rate, site.slow_rate, site.slow_until), current.site_rate),
        )


def slowed(rate: str, slow_rate: str, until: datetime | None) -> str:
    """The rate that a row has now: a rule may have slowed it down (engine/rules/slowing.py)."""
    return slow_rate if slow_rate and until is not None and until > timezone.now() else rate


def rate_of(text: str, otherwise: Rate | None) -> Rate | None:
    """A rate as a row has it; empty: what the settings say."""
    return rate_or_none(text) if text else otherwise


class NoWay(Exception):
    """There is no host to try; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome


class Router:
    """For one event loop. `in_db` runs a function where the database may be used."""

    def __init__(self, in_db: RunInDb) -> None:
        current = conf.current()
        self._in_db = in_db
        self._resolver = Resolver([str(server) for server in current.dns] or None, timeout=10)
        self.policies = Policies(in_db, self._resolver) if current.mta_sts == "on" else None
        self._plans: dict[_Key, tuple[float, Plan]] = {}
        self._locks: dict[_Key, asyncio.Lock] = {}
        self._routes: tuple[float, list[tuple[str, Way]]] = (0.0, [])
        self._routes_lock = asyncio.Lock()
        self._sites: dict[str, tuple[float, Site]] = {}
        self._placed: dict[int, int] = {}
        self._placing: asyncio.Future[None] | None = None

    def known(self, domain: str, route_id: int | None = None) -> Plan | None:
        """The plan that is remembered, without waiting."""
        entry = self._plans.get((domain, route_id))
        return entry[1] if entry and entry[0] > time.monotonic() else None

    async def plan(
        self, domain: str, domain_id: int, site_id: int | None = None, domain_rate: str = "",
        route_id: int | None = None, *, is_led: bool = False,
    ) -> Plan:  # fmt: skip
        """`site_id` and `domain_rate` as the domain's row has them; `route_id` was chosen, with `is_led` for
        some of its mail only, which says nothing of the domain's site. Raises NoWay."""
        key = (domain, route_id)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            if known := self.known(domain, route_id):
                return known
            try:
                plan = await self._make(domain, domain_id, domain_rate, route_id)
                if plan.site_id != site_id and not is_led:
                    await self._place(domain_id, plan.site_id)
            finally:
                self._locks.pop(key, None)
            if len(self._plans) > _MAX_PLANS:
                self._plans.clear()
            self._plans[key] = (time.monotonic() + _PLAN_TTL, plan)
            return plan

    def forget(self) -> None:
        """Limits or routes changed: all plans are made anew. DNS answers stay."""
        self._plans = {}
        self._sites = {}
        self._routes = (0.0, [])

    def forget_site(self, site_id: int) -> None:
        """Its back-off changed: plans are made anew."""
        self._plans = {key: entry for key, entry in self._plans.items() if entry[1].site_id != site_id}
        self._sites = {key: entry for key, entry in self._sites.items() if entry[1].pk != site_id}

    async def close(self) -> None:
        if self.policies:
            await self.policies.close()

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The IPs of an MX host. Raises NoWay."""
        try:
            return await self._resolver.addresses(host)
        except MxFailed as error:
            raise NoWay(error.outcome) from None

    async def lead(self, domain: str, route_id: int | None = None) -> Lead:
        """Where the way of a domain, or the one that was chosen, leads, without a look at its site. Raises
        NoWay."""
        way = await self._way(domain, route_id)
        policy, is_mx_secure = None, True
        if way.kind == "mx":
            destination, policy = await asyncio.gather(self._destination(domain), self._policy(domain))
            is_mx_secure = destination.is_secure
            hosts = [(each.preference, each.name) for each in destination.hosts]
            name = common_name([host for _, host in hosts])
            digest = hashlib.sha256(" ".join(sorted(host for _, host in hosts)).encode()).hexdigest()[:40]
            key = f"mx:{digest}"
            endpoints = tuple(Endpoint(host, way.port) for _, host in hosts)
        elif way.kind == "sandbox":
            # In the sandbox every domain plays a receiver of its own.
            hosts, name = [(0, way.host)], domain
            key = "sandbox:" + hashlib.sha256(domain.encode()).hexdigest()[:40]
            endpoints = (Endpoint(way.host, way.port),)
        else:
            hosts, name = [(0, way.host)], way.host
            key = f"relay:{way.host}:{way.port}"
            if len(key) > 64:
                key = "relay:" + hashlib.sha256(key.encode()).hexdigest()[:40]
            endpoints = (Endpoint(way.host, way.port),)
        return Lead(way, key, name, hosts, endpoints, policy, is_mx_secure)

    async def _make(self, domain: str, domain_id: int, domain_rate: str, route_id: int | None) -> Plan:
        lead = await self.lead(domain, route_id)
        way = lead.way
        site = await self._site(lead.key, lead.name, way.kind, lead.hosts)
        return Plan(
            site_id=site.pk,
            site_key=lead.key,
            site_name=site.name,
            endpoints=lead.endpoints,
            options=way.options,
            limits=SiteLimits.of(site),
            n_failures=site.n_failures,
            backoff_until=site.backoff_until,
            backoff_class=site.backoff_class,
            backoff_reply=site.backoff_reply,
            domain_id=domain_id,
            domain_rate=rate_of(domain_rate, conf.current().domain_rate),
            pool_id=way.pool_id,
            source_id=way.source_id,
            policy=lead.policy,
            is_suspended=site.is_suspended(timezone.now()),
            way=way.route_id,
            is_mx_secure=lead.is_mx_secure,
        )

    async def _destination(self, domain: str) -> Destination:
        try:
            return await self._resolver.destination(domain)
        except MxFailed as error:
            raise NoWay(error.outcome) from None

    async def _policy(self, domain: str) -> Policy | None:
        return await self.policies.of(domain) if self.policies else None

    async def _way(self, domain: str, route_id: int | None) -> Way:
        async with self._routes_lock:
            if self._routes[0] < time.monotonic():
                rows = await self._in_db(by_pattern)
                self._routes = (time.monotonic() + _ROUTES_TTL, rows)
        for pattern, way in self._routes[1]:
            if way.route_id == route_id if route_id else matches(pattern, domain):
                if way.why_closed:
                    raise NoWay(Outcome("deferred", "other", text=way.why_closed, rule="route-sealed"))
                return way
        if route_id:
            # Never the domain's own way instead: somebody wanted this mail not to take it.
            raise NoWay(Outcome("deferred", "other", text=_GONE, rule="route-gone"))
        return default_way()

    async def _site(self, key: str, name: str, kind: str, hosts: list[tuple[int, str]]) -> Site:
        known = self._sites.get(key)
        if known is None or known[0] < time.monotonic():
            site = await self._in_db(lambda: _site(key, name, kind, hosts))
            if len(self._sites) > _MAX_PLANS:
                self._sites.clear()
            known = self._sites[key] = (time.monotonic() + _PLAN_TTL, site)
        return known[1]

    async def _place(self, domain_id: int, site_id: int) -> None:
        """Store which site a domain belongs to; those that come meanwhile share the statement."""
        self._placed[domain_id] = site_id
        if self._placing is None:
            self._placing = asyncio.ensure_future(self._store_places())
        await asyncio.shield(self._placing)

    async def _store_places(self) -> None:
        await asyncio.sleep(0)
        rows = [(domain_id, site_id, timezone.now()) for domain_id, site_id in sorted(self._placed.items())]
        self._placed.clear()
        self._placing = None
        await self._in_db(lambda: _PLACE.run(rows) and None)


_PLACE = ManyRows(
    "domain:bigint site:bigint at:timestamptz",
    postgresql=locked("domain")
    + """
        UPDATE queueapp_recipientdomain d SET site_id = v.site, site_checked_at = v.at
        FROM v JOIN locked ON locked.id = v.domain WHERE d.id = v.domain AND d.site_id IS DISTINCT FROM v.site
        """,
    sqlite="""
        UPDATE queueapp_recipientdomain SET site_id = ?2, site_checked_at = ?3
        WHERE id = ?1 AND site_id IS NOT ?2""",
)


def _site(key: str, name: str, kind: str, hosts: list[tuple[int, str]]) -> Site:
    site, _ = Site.objects.get_or_create(
        key=key, defaults={"name": name[:255], "route": kind, "hosts": [list(host) for host in hosts]}
    )
    return site


def common_name(hosts: list[str]) -> str:
    """What people call a set of MX hosts: the domain that all share, else the first one's.

    Two labels, or three where the second-last is a short one under a country (`co.uk`).
    """
    labels = [host.rstrip(".").lower().split(".") for host in hosts]
    if not labels:
        return ""
    shared: list[str] = []
    for column in zip(*(reversed(each) for each in labels), strict=False):
        if len(set(column)) > 1:
            break
        shared.insert(0, column[0])
    least = 3 if len(labels[0]) > 2 and len(labels[0][-1]) == 2 and len(labels[0][-2]) <= 3 else 2
    return ".".join(shared[-least:]) if len(shared) >= least else ".".join(labels[0][-least:])
