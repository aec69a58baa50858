"""MTA-STS policies of recipient domains: known, fetched, refreshed before they end (RFC 8461).

Asked once a domain when its way is planned. Rows of all domains that have a policy are read together,
so a domain without one costs a DNS question and no query.

Promises: an answer within DEADLINE seconds, and at once where a policy is in force: it is then renewed
behind the back of the mail. A policy in force stays so until its end when DNS or its host is away, as
section 5.1 asks. A fetch that failed is not repeated for RETRY.
Failure: a domain whose policy can't be had is treated as one that has none; its row says why.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from django.db import DatabaseError
from django.db.models import F
from django.utils import timezone

from queueapp.mail.mta_sts import Mode, Policy, record_id
from queueapp.models import MtaStsPolicy
from queueapp.transports.mta_sts import FetchFailed, Options, fetch
from queueapp.transports.smtp.mx import Resolver

DEADLINE = 12.0
# A record with another id is noticed so soon, and a policy host that failed is asked again.
CHECK, RETRY = timedelta(minutes=10), timedelta(minutes=10)
# Renewed after a day or half of its age, also with the same id, so that it does not end unseen.
RENEW = timedelta(days=1)
_ROWS_TTL = 60.0
_WITHOUT_TTL = 300.0
_MAX_WITHOUT = 50_000
_FIELDS = (
    "domain", "policy_id", "mode", "mx", "max_age", "fetched_at", "expires_at", "check_at",
)  # fmt: skip
FETCHING = Options()
log = logging.getLogger(__name__)


class Policies:
    """For one event loop. `in_db` runs a function where the database may be used."""

    def __init__(self, in_db: Callable[[Callable[[], Any]], Awaitable[Any]], resolver: Resolver) -> None:
        self._in_db, self._resolver = in_db, resolver
        self._rows: dict[str, MtaStsPolicy] = {}
        self._read_at = 0.0
        self._reading = asyncio.Lock()
        self._renewing: dict[str, asyncio.Task[None]] = {}
        self._without: dict[str, float] = {}
        """Domains without a record, and until when that is believed."""

    async def of(self, domain: str) -> Policy | None:
        """The policy in force, None where there is none. Raises DatabaseError, nothing else."""
        await self._read()
        row = self._rows.get(domain)
        if row is None and self._without.get(domain, 0.0) > time.monotonic():
            return None
        if row is not None and row.check_at > timezone.now():
            return in_force(row)
        known = in_force(row) if row else None
        task = self._renewing.get(domain)
        if task is None:
            task = self._renewing[domain] = asyncio.ensure_future(self._renew(domain, row))
            task.add_done_callback(partial(self._renewed, domain))
        if known is None:
            await asyncio.wait([task], timeout=DEADLINE)
            row = self._rows.get(domain)
            known = in_force(row) if row else None
        return known

    async def close(self) -> None:
        for task in self._renewing.values():
            task.cancel()
        await asyncio.gather(*self._renewing.values(), return_exceptions=True)

    async def violated(self, policy: Policy, text: str) -> None:
        """A session that the policy does not allow was refused, or made all the same in testing mode."""
        log.warning("MTA-STS of %s (%s): %s", policy.domain, policy.mode, text)
        try:
            await self._in_db(partial(_note, policy.domain, text))
        except DatabaseError as error:
            log.warning("that is not stored: %s", error)

    async def _read(self) -> None:
        async with self._reading:
            if self._read_at + _ROWS_TTL < time.monotonic() or not self._read_at:
                self._rows = await self._in_db(_rows)
                self._read_at = time.monotonic()

    async def _renew(self, domain: str, row: MtaStsPolicy | None) -> None:
        now = timezone.now()
        found = await self._resolver.texts(f"_mta-sts.{domain}")
        policy_id = record_id(found)
        if not policy_id and row is None:
            if len(self._without) > _MAX_WITHOUT:
                self._without.clear()
            self._without[domain] = time.monotonic() + _WITHOUT_TTL
            return
        if not policy_id or (row and row.policy_id == policy_id and row.mode and not _is_old(row, now)):
            await self._store(domain, check_at=now + CHECK)
            return
        try:
            policy = await fetch(domain, self._resolver, FETCHING)
        except FetchFailed as error:
            log.warning("the MTA-STS policy of %s can't be fetched: %s", domain, error)
            await self._store(domain, failure=str(error)[:255], check_at=now + RETRY)
            return
        await self._store(
            domain,
            policy_id=policy_id,
            mode=policy.mode,
            mx=list(policy.mx),
            max_age=policy.max_age,
            fetched_at=now,
            expires_at=now + timedelta(seconds=policy.max_age),
            check_at=now + CHECK,
            failure="",
        )

    async def _store(self, domain: str, **values: Any) -> None:
        self._rows[domain] = await self._in_db(partial(_store, domain, values))

    def _renewed(self, domain: str, task: asyncio.Task[None]) -> None:
        self._renewing.pop(domain, None)
        if not task.cancelled() and (error := task.exception()):
            log.warning("the MTA-STS policy of %s is not renewed: %s", domain, error)


def in_force(row: MtaStsPolicy) -> Policy | None:
    if row.mode in ("", "none") or row.expires_at is None or row.expires_at <= timezone.now():
        return None
    return Policy(row.domain, cast(Mode, row.mode), tuple(row.mx), row.max_age)


def _is_old(row: MtaStsPolicy, now: datetime) -> bool:
    return row.fetched_at is None or now - row.fetched_at > min(RENEW, timedelta(seconds=row.max_age / 2))


def _rows() -> dict[str, MtaStsPolicy]:
    return {row.domain: row for row in MtaStsPolicy.objects.only(*_FIELDS)}


def _store(domain: str, values: dict[str, Any]) -> MtaStsPolicy:
    row, _ = MtaStsPolicy.objects.update_or_create(domain=domain, defaults=values)
    return row


def _note(domain: str, text: str) -> None:
    MtaStsPolicy.objects.filter(domain=domain).update(
        n_violations=F("n_violations") + 1, violated_at=timezone.now(), violation=text[:255]
    )
