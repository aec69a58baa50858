"""Claim due deliveries for a runner, fairly over the domains.

How: domains whose `due_at` has come are taken longest waiting first and locked (PostgreSQL
skips those that another runner holds; SQLite has one writer anyway). Of each a few due rows
are taken, higher priority first. A domain with more to give goes to the end of the line, so
one with a million due mails can't starve one with three.

Promises: one short transaction; a row is claimed by one runner only. The row gets the
runner's token and its next attempt time before anything touches the network, so a crash
can't hammer a receiver.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from queueapp import conf
from queueapp.engine import pacing
from queueapp.engine.counters import Changes
from queueapp.models import Delivery, RecipientDomain, State, bulk, trips

PRIORITIES = tuple(range(9, -1, -1))

_DUE_OF_DOMAIN = """
    SELECT y.id, y.next_attempt_at FROM queueapp_delivery y
    WHERE y.domain_id = d.id AND y.priority = p.value AND y.state IN ('queued', 'deferred'){due}
    ORDER BY y.next_attempt_at LIMIT {limit}
"""
_PRIORITIES = "(SELECT 9 AS value" + "".join(f" UNION ALL SELECT {n}" for n in PRIORITIES[1:]) + ") p"


@dataclass(slots=True)
class Claimed:
    """A row in the hands of a runner; plain values, so that the hot loop holds no ORM objects."""

    id: int
    message_id: int
    recipient: str
    domain_id: int
    domain: str
    state_before: str
    n_attempts: int
    priority: int
    accepted_at: datetime
    expires_at: datetime
    is_warned: bool
    sender: str
    size: int
    is_8bit: bool
    needs_utf8: bool
    is_quiet: bool
    """Bulk mail and our own reports: no delay warning."""
    retry_first: float
    retry_cap: float
    waits_since: datetime
    """When it could first go: acceptance, or the time that the sender asked for."""
    tls_demand: str = ""
    site_id: int | None = None
    """The site that its domain belonged to when it was last looked up."""
    domain_rate: str = ""
    """As the domain's row has it."""
    route_id: int | None = None
    """The way that was chosen, for it or for its domain."""
    is_led: bool = False
    """For it alone: the domain's other mail goes another way."""


_COLUMNS = """d.id, d.message_id, d.recipient, d.domain_id, {state}, d.n_attempts, d.priority, d.accepted_at,
    d.expires_at, d.is_warned, m.sender, m.size, m.is_8bit, m.needs_utf8, m.is_bulk, m.send_at,
    m.expires_at, m.tls_demand, d.route_id"""
_SELECT = f"""
    SELECT {_COLUMNS.format(state="d.state")}
    FROM queueapp_delivery d JOIN queueapp_message m ON m.id = d.message_id
    WHERE {{}} AND """
_MARK = "state = 'sending', runner_id = %s, n_attempts = d.n_attempts + 1, next_attempt_at = %s"
# A row that somebody holds or releases right now is left to the next claim: waiting for it with the
# domains locked would be a deadlock, taking it would undo their work.
_TAKE = f"""
    WITH free AS MATERIALIZED (
        SELECT id, state FROM queueapp_delivery
        WHERE id = ANY(%s::bigint[]) AND state IN ('queued', 'deferred') FOR UPDATE SKIP LOCKED
    )
    UPDATE queueapp_delivery d SET {_MARK}
    FROM free JOIN queueapp_delivery o ON o.id = free.id JOIN queueapp_message m ON m.id = o.message_id
    WHERE d.id = free.id RETURNING {_COLUMNS.format(state="free.state")}
"""


class _Domain(NamedTuple):
    id: int
    name: str
    site_id: int | None
    max_age: timedelta | None
    retry_first: timedelta | None
    retry_cap: timedelta | None
    rate: str
    route_id: int | None
    site_rate: str | None


_DOMAIN = (*_Domain._fields[:-1], "site__rate")
# RecipientDomainQuerySet.due, raw: it is asked twenty times a second.
_DUE_DOMAINS = """
    SELECT d.id, d.name, d.site_id, d.max_age, d.retry_first, d.retry_cap,
        CASE WHEN d.slow_until > %s THEN d.slow_rate ELSE d.rate END, d.route_id,
        CASE WHEN s.slow_until > %s THEN s.slow_rate ELSE s.rate END
    FROM queueapp_recipientdomain d LEFT JOIN queueapp_site s ON s.id = d.site_id
    WHERE d.due_at <= %s AND (d.suspended_at IS NULL OR d.suspended_until <= %s)
        AND (d.next_at IS NULL OR d.next_at <= %s) AND (s.next_at IS NULL OR s.next_at <= %s)
        AND (s.suspended_at IS NULL OR s.suspended_until <= %s){left_out}
    ORDER BY d.due_at LIMIT %s"""


def claim(
    runner_id: int,
    limit: int,
    *,
    skip_sites: Collection[int] = (),
    per_domain: int = 200,
    max_domains: int = 200,
) -> list[Claimed]:
    """Up to `limit` due deliveries, now `sending` under this runner's token.

    `skip_sites` are those that already have enough work in this runner's hands.
    """
    now = timezone.now()
    with transaction.atomic():
        domains = _due_domains(now, skip_sites, max_domains)
        if not domains:
            return []
        share = min(per_domain, max(1, limit // len(domains)))
        room = pacing.room(domains)
        picked = _pick([domain.id for domain in domains], share, now, room)[:limit]
        claimed = _take(runner_id, picked, {domain.id: domain for domain in domains}, now)
        _update_domains(domains, claimed, share, now)
    return claimed


def release(runner_id: int, rows: list[Claimed], wait: float = 0.0) -> int:
    """Give claims back untouched: they were never tried, and are due in `wait` seconds. Returns how many
    were still ours."""
    now = timezone.now() + timedelta(seconds=wait)
    changes = Changes()
    with transaction.atomic():
        mine = set(
            Delivery.objects.select_for_update()
            .filter(id__in=[row.id for row in rows], state=State.SENDING, runner_id=runner_id)
            .order_by("id")
            .values_list("id", flat=True)
        )
        for state in (State.QUEUED, State.DEFERRED):
            back = [row for row in rows if row.id in mine and row.state_before == state]
            Delivery.objects.filter(id__in=[row.id for row in back]).update(
                state=state, runner_id=None, n_attempts=F("n_attempts") - 1, next_attempt_at=now
            )
            for row in back:
                changes.move(row.domain_id, State.SENDING, state)
                changes.waits_until(row.domain_id, now)
        changes.apply()
    return len(mine)


def has_claims(runner_id: int) -> bool:
    """Whether anything is still under this token."""
    return Delivery.objects.filter(runner_id=runner_id, state=State.SENDING).exists()


def claimed_by(runner_id: int, ids: Sequence[int]) -> list[Claimed]:
    """Claims of a runner as they stand in the database, for who settles them in its place."""
    return _read(ids, "d.state = 'sending' AND d.runner_id = %s", [runner_id])


def as_claimed(ids: Sequence[int]) -> list[Claimed]:
    """Deliveries that nobody claimed, in the shape that reports to their senders are made from."""
    return _read(ids, "TRUE", [])


def _read(ids: Sequence[int], condition: str, params: list[Any]) -> list[Claimed]:
    with bulk.reading() as cursor:
        cursor.execute(_SELECT.format(condition) + bulk.any_of("d.id"), [*params, bulk.id_list(ids)])
        rows = cursor.fetchall()
    found = RecipientDomain.objects.filter(id__in={row[3] for row in rows}).values_list(*_DOMAIN)
    domains = {domain.id: domain for domain in map(_Domain._make, found)}
    return [_claimed(row, domains) for row in rows]


def _due_domains(now: datetime, skip: Collection[int], n: int) -> list[_Domain]:
    at = connection.ops.adapt_datetimefield_value(now)
    params: list[Any] = [at] * 7
    left_out = ""
    if skip:
        left_out = f" AND (d.site_id IS NULL OR NOT {bulk.any_of('d.site_id')})"
        params.append(bulk.id_list(sorted(skip)))
    lock = " FOR UPDATE OF d SKIP LOCKED" if connection.vendor == "postgresql" else ""
    rows = trips.first(_DUE_DOMAINS.format(left_out=left_out) + lock, [*params, n])
    return [_Domain(*row[:3], *map(bulk.as_duration, row[3:6]), *row[6:]) for row in rows]


def _pick(domain_ids: list[int], share: int, now: datetime, room: pacing.Room) -> list[int]:
    """Ids of due rows, at most `share` of each domain, higher priorities first; fewer where a rate holds."""
    taken: Counter[int] = Counter()
    ids = []
    for domain_id, _, delivery_id, _ in _probe(domain_ids, share, now):
        if taken[domain_id] < share and room.takes(domain_id):
            taken[domain_id] += 1
            ids.append(delivery_id)
    return ids


def _take(runner_id: int, ids: list[int], domains: dict[int, _Domain], now: datetime) -> list[Claimed]:
    """Those of the rows that still wait, now ours; higher priorities first."""
    again = now + conf.current().retry_first
    with bulk.reading() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_TAKE, [bulk.id_list(ids), runner_id, again])
            rows = cursor.fetchall()
        else:
            rows = _take_on_sqlite(cursor, ids, runner_id, again)
    claimed = [_claimed(row, domains) for row in rows]
    claimed.sort(key=lambda row: (-row.priority, row.id))
    return claimed


def _take_on_sqlite(cursor: Any, ids: list[int], runner_id: int, again: datetime) -> list[tuple[Any, ...]]:
    """The lock on the database keeps the rows as they are between the two statements."""
    cursor.execute(
        _SELECT.format("d.state IN ('queued', 'deferred')") + bulk.any_of("d.id"), [bulk.id_list(ids)]
    )
    rows = [(*row[:5], row[5] + 1, *row[6:]) for row in cursor.fetchall()]
    at = connection.ops.adapt_datetimefield_value(again)
    cursor.execute(
        f"UPDATE queueapp_delivery AS d SET {_MARK} WHERE {bulk.any_of('d.id')}",
        [runner_id, at, bulk.id_list([row[0] for row in rows])],
    )
    return rows


def _probe(domain_ids: list[int], limit: int, now: datetime | None) -> list[tuple[int, int, int, datetime]]:
    """(domain, priority, delivery, next attempt) of the first rows of each domain and priority.

    One index probe each on delivery_claim. Only rows due at `now`; None: the first ones whenever due.
    """
    due = " AND y.next_attempt_at <= %s" if now else ""
    params: list[Any] = [connection.ops.adapt_datetimefield_value(now)] if now else []
    marks = ", ".join(["%s"] * len(domain_ids))
    inner = _DUE_OF_DOMAIN.format(due=due, limit=int(limit))
    if connection.vendor == "postgresql":
        sql = f"""
            SELECT d.id, p.value, y.id, y.next_attempt_at FROM queueapp_recipientdomain d
            CROSS JOIN {_PRIORITIES} CROSS JOIN LATERAL ({inner}) y
            WHERE d.id IN ({marks}) ORDER BY p.value DESC, y.next_attempt_at"""
        params += domain_ids
    else:
        ids_only = inner.replace("y.id, y.next_attempt_at", "y.id", 1)
        sql = f"""
            SELECT d.id, p.value, x.id, x.next_attempt_at FROM queueapp_recipientdomain d
            CROSS JOIN {_PRIORITIES} CROSS JOIN queueapp_delivery x
            WHERE x.id IN ({ids_only}) AND d.id IN ({marks}) ORDER BY p.value DESC, x.next_attempt_at"""
        params += domain_ids
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def _claimed(row: tuple[Any, ...], domains: dict[int, _Domain]) -> Claimed:
    """From a row of _COLUMNS, which has counted this attempt already."""
    (
        pk, message_id, recipient, domain_id, state, n_attempts, priority, accepted_at,
        expires_at, is_warned, sender, size, is_8bit, needs_utf8, is_bulk, send_at, asked_to_expire_at,
        tls_demand, route_id,
    ) = row  # fmt: skip
    accepted_at, expires_at = bulk.as_time(accepted_at), bulk.as_time(expires_at)
    domain, current = domains[domain_id], conf.current()
    since = max(bulk.as_time(send_at), accepted_at) if send_at else accepted_at
    if domain.max_age is not None and asked_to_expire_at is None:
        expires_at = since + domain.max_age
    return Claimed(
        pk, message_id, recipient, domain_id, domain.name, state, n_attempts, priority, accepted_at,
        expires_at, bool(is_warned), sender, size, bool(is_8bit), bool(needs_utf8),
        bool(is_bulk) or not sender, (domain.retry_first or current.retry_first).total_seconds(),
        (domain.retry_cap or current.retry_cap).total_seconds(), since, tls_demand, domain.site_id,
        domain.rate, route_id or domain.route_id, route_id is not None and route_id != domain.route_id,
    )  # fmt: skip


def _update_domains(domains: list[_Domain], claimed: list[Claimed], share: int, now: datetime) -> None:
    changes = Changes()
    taken: Counter[int] = Counter()
    for row in claimed:
        taken[row.domain_id] += 1
        changes.move(row.domain_id, row.state_before, State.SENDING)
    emptied = [domain.id for domain in domains if taken[domain.id] < share]
    for domain in domains:
        changes.next_due(domain.id, now)
    firsts: dict[int, datetime | None] = dict.fromkeys(emptied)
    if emptied:
        for domain_id, _, _, at in _probe(emptied, 1, None):
            at = bulk.as_time(at)
            known = firsts[domain_id]
            firsts[domain_id] = at if known is None else min(known, at)
    for domain_id, first in firsts.items():
        changes.next_due(domain_id, first)
    with trips.together(is_end=True):
        changes.apply()
