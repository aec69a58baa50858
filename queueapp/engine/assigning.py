"""From claims to sites: which site and which pool of sources a delivery belongs to, and what limits hold.

Promises: a changed limit, route, source or rule counts for what is in hand, too, from the moment that
the runner hears of it (engine/allowance.py looks every two seconds).
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import replace
from functools import partial

from django.db import DatabaseError
from django.utils import timezone

from queueapp import conf
from queueapp.conf import Rate
from queueapp.engine import sources
from queueapp.engine.claim import Claimed
from queueapp.engine.routing import Plan, SiteLimits, rate_of, slowed
from queueapp.engine.sites import SiteWork, groups_of
from queueapp.engine.sources import Pool
from queueapp.engine.staffing import Staffing
from queueapp.engine.trust import trust_of
from queueapp.models import Message, RecipientDomain, Site
from queueapp.transports.base import Outcome

# Seconds until mail by a chosen route is claimed again, where its site has no room for it now.
_LATER = (5.0, 20.0)
log = logging.getLogger(__name__)


class Assigning(Staffing):
    """The part of a runner that puts deliveries to their sites."""

    def to_site(self, plan: Plan, rows: list[Claimed]) -> None:
        now = timezone.now()
        if plan.backoff_until and plan.backoff_until > now:
            self.set_aside(rows, _backing_off(plan), plan.backoff_until)
        elif plan.is_suspended:
            # Claimed before it was, or before it was known to be of this site: from now on it isn't.
            self._spawn(self.hands.give_back(rows, random.uniform(*_LATER) if rows[0].is_led else 0.0))
        elif self.book.asks_message:
            self._spawn(self._by_message(plan, rows))
        else:
            self._by_pool(plan, rows, {})

    async def _by_message(self, plan: Plan, rows: list[Claimed]) -> None:
        try:
            ids = {row.message_id for row in rows}
            facts = await self.in_db(partial(_facts, ids))
        except DatabaseError as error:
            log.warning("the senders of %d mails are not known yet: %s", len(rows), error)
            await self.hands.give_back(rows)
        else:
            self._by_pool(plan, rows, facts)

    def _by_pool(self, plan: Plan, rows: list[Claimed], facts: dict[int, tuple[str, list[str]]]) -> None:
        pools: dict[str, tuple[Pool, list[Claimed]]] = {}
        for row in rows:
            login, tags = facts.get(row.message_id, ("", []))
            pool = self.book.pool_for(plan.pool_id, plan.source_id, row.sender, login, tags)
            pools.setdefault(pool.key, (pool, []))[1].append(row)
        for pool, some in pools.values():
            key = (plan.site_id, pool.key, plan.way)
            site = self.sites.get(key)
            if some[0].is_led and self._has_no_room(plan.site_id, site):
                # The claim passes over sites that have enough, by the site of the domain: not of these.
                self._spawn(self.hands.give_back(some, random.uniform(*_LATER)))
                continue
            limits = plan.limits
            share = self.allowance.share(plan.site_id, limits.max_sessions, limits.max_mails)
            if site is None:
                site = self.sites[key] = SiteWork(plan, pool, share)
                self._pools_of.setdefault(plan.site_id, {})[site.key] = site
            site.plan, site.pool = plan, pool
            self._set_paces(site, plan)
            for group in groups_of(some, site.lanes):
                group.trust = trust_of(plan, group.rows[0])
                site.add(group)
            self.staff(site)

    def _has_no_room(self, site_id: int, site: SiteWork | None) -> bool:
        return (site is not None and site.is_full) or self._closed.get(site_id, 0.0) > time.monotonic()

    def _set_paces(self, site: SiteWork, plan: Plan) -> None:
        site.pace = self.allowance.pace(f"s{plan.site_id}", plan.limits.rate)
        pace = self.allowance.pace(f"d{plan.domain_id}", plan.domain_rate)
        if pace:
            site.lanes[plan.domain_id] = pace
        else:
            site.lanes.pop(plan.domain_id, None)

    async def sources_changed(self) -> None:
        """A source or a site was suspended, maybe by another runner."""
        self.book = await self.in_db(sources.load)
        for site in list(self.sites.values()):
            if site.n_waiting and not self.stopping and self.book.stop(site.plan.site_id):
                self.staff(site)

    async def limits_changed(self) -> None:
        """Somebody changed a limit, a source, a rule: all of it is read anew."""
        self.book = await self.in_db(sources.load)
        await self.watch.load()
        self.warmups.forget()
        self.router.forget()
        self._closed.clear()
        found = await self.in_db(partial(_limits_of, {each.plan.site_id for each in self.sites.values()}))
        rates = await self.in_db(partial(_rates_of, {each.plan.domain_id for each in self.sites.values()}))
        for site in list(self.sites.values()):
            limits = found.get(site.plan.site_id, site.plan.limits)
            rate = rates.get(site.plan.domain_id, site.plan.domain_rate)
            site.plan = replace(site.plan, limits=limits, domain_rate=rate)
            site.pool = self.book.renewed(site.pool)
            site.limit = min(site.limit, limits.max_sessions)
            self.allowance.share(site.plan.site_id, limits.max_sessions, limits.max_mails)
            self._set_paces(site, site.plan)
            if not self.stopping:
                self.staff(site)


def _facts(message_ids: set[int]) -> dict[int, tuple[str, list[str]]]:
    """Login and tags of messages, for the rules that look at them."""
    rows = Message.objects.filter(pk__in=message_ids).values_list("pk", "login", "tags")
    return {pk: (login, tags) for pk, login, tags in rows}


def _limits_of(site_ids: set[int]) -> dict[int, SiteLimits]:
    return {site.pk: SiteLimits.of(site) for site in Site.objects.filter(pk__in=site_ids)}


def _rates_of(domain_ids: set[int]) -> dict[int, Rate | None]:
    fields = ("pk", "rate", "slow_rate", "slow_until")
    rows = RecipientDomain.objects.filter(pk__in=domain_ids).values_list(*fields)
    return {pk: rate_of(slowed(*rates), conf.current().domain_rate) for pk, *rates in rows}


def _backing_off(plan: Plan) -> Outcome:
    return Outcome(
        result="deferred", reply_class=plan.backoff_class or "connection", text=plan.backoff_reply,
        host=plan.site_name, rule="site-backoff",
    )  # fmt: skip
