"""Let many go without a stampede: spread over each receiver's rate, and for a retry one before the rest.

How: the frozen set is counted by receiver once (a site, or a domain with a rate of its own or without a
known site). A retry of more than a few to one receiver tries one of them first. When that has an outcome,
or after a while without one, the rest become due at random times over the span that their number takes at
the receiver's rate. If the first one failed again, for a reason that is not its own, the rest stay as
they were. The rates themselves are kept by the runners, whatever is due.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from queueapp import events
from queueapp.engine import actions, backoff
from queueapp.engine.actions import Asked, Done, Row
from queueapp.mail.classify import CLASSES
from queueapp.models import Delivery, Operation, OperationChunk, OperationSite, RecipientDomain, State
from queueapp.models.bulk import any_of, id_list
from queueapp.models.operation import parted
from queueapp.operations.forecast import Key, key_of, keys_sql, rates_of, spread_of

PACED = frozenset({"retry", "release", "restore"})
FIRST_FAILED, STOPPED = "first_failed", "stopped"
# From so many on one is tried before the rest.
ONE_FIRST = 10
PATIENCE = timedelta(seconds=60)
_SOME, _LOOKED_AT = 500, 5000  # at a time
_IN_USE = {actions.BUSY, State.SENDING.value}
# Failures that say nothing about the next mail to the same receiver.
_ITS_OWN = frozenset(name for name, info in CLASSES.items() if info.fault in ("recipient", "mail"))


@dataclass(slots=True)
class _Count:
    n: int = 0
    first: int = 0


def is_ready(row: Operation) -> bool:
    """Whether its chunks may be done; counts them first, and tries the first ones."""
    if row.planned_at is None:
        _plan(row)
        row.refresh_from_db()
    if row.action != "retry":
        return True
    undecided = OperationSite.objects.filter(operation=row).undecided()
    for each in list(undecided.filter(first_at__isnull=True)[:_SOME]):
        _try_first(row, each)
    tried = list(undecided.filter(first_at__isnull=False)[:_LOOKED_AT])
    firsts = Delivery.objects.in_bulk([each.first_id for each in tried if each.first_id])
    for each in tried:
        _look(each, firsts.get(each.first_id or 0))
    return not undecided.exists()


def act(row: Operation, ids: list[int], asked: Asked) -> Done:
    """A chunk of it, in the caller's transaction. What was tried first is done already."""
    firsts = OperationSite.objects.filter(operation=row, first_at__isnull=False, first_id__in=ids)
    tried = {pk for pk in firsts.values_list("first_id", flat=True) if pk}
    rest = [pk for pk in ids if pk not in tried]
    due = _due(row, rest, asked.now)
    done = actions.act(row.action, rest, Asked(asked.operation_id, asked.now, asked.reason, due=due))
    for pk in sorted(tried):
        done.did(State.DEFERRED.value, pk)
    return done


def note(row: Operation) -> str:
    """What became of those that were tried first, where it was no good."""
    failed = OperationSite.objects.filter(operation=row, verdict=OperationSite.Verdict.FAILED)
    n = failed.count()
    if not n:
        return ""
    some = [
        f"{each.site or each.domain}: {each.told}"
        for each in failed.select_related("site", "domain").order_by("-n")[:3]
    ]
    more = f" and {n - 3} more" if n > 3 else ""
    return f"The first mail failed again, and the rest was left as it was, at {'; '.join(some)}{more}"


# ── The plan ──────────────────────────────────────────────────────────────────────────────────


def _plan(row: Operation) -> None:
    counts: dict[Key, _Count] = {}
    chunks = OperationChunk.objects.filter(operation=row).order_by("number")
    for ids in chunks.values_list("ids", flat=True).iterator(chunk_size=10):
        _count(parted(ids), actions.FROM[row.action], counts)
    rates = rates_of(counts)
    made = []
    for key, count in counts.items():
        spread = spread_of(count.n, rates[key])
        has_first = row.action == "retry" and count.n >= ONE_FIRST
        made.append(
            OperationSite(
                operation=row,
                site_id=key[0],
                domain_id=key[1],
                n=count.n,
                spread=spread,
                first_id=count.first if has_first else None,
                verdict="" if has_first else OperationSite.Verdict.GOES,
            )  # fmt: skip
        )
    with transaction.atomic():
        if Operation.objects.filter(pk=row.pk, planned_at__isnull=True).update(planned_at=timezone.now()):
            OperationSite.objects.bulk_create(made, batch_size=500)


def _count(ids: list[int], states: tuple[State, ...], counts: dict[Key, _Count]) -> None:
    named = ", ".join(f"'{state.value}'" for state in states)
    sql = f"""
        SELECT {keys_sql()}, count(*), min(y.id) FROM queueapp_delivery y
        JOIN queueapp_recipientdomain d ON d.id = y.domain_id
        WHERE {any_of("y.id")} AND y.state IN ({named}) GROUP BY 1, 2"""  # noqa: S608  our own words
    with connection.cursor() as cursor:
        cursor.execute(sql, [id_list(ids)])
        for site_id, domain_id, n, first in cursor.fetchall():
            count = counts.setdefault((site_id, domain_id), _Count(0, first))
            count.n += n
            count.first = min(count.first, first)


# ── The one before the rest ───────────────────────────────────────────────────────────────────


def _try_first(row: Operation, each: OperationSite) -> None:
    """Also where the site backs off: one mail is what it takes to see whether it still has to."""
    now = timezone.now()
    with transaction.atomic():
        assert each.first_id is not None
        n_tries = Delivery.objects.filter(pk=each.first_id).values_list("n_attempts", flat=True).first()
        done = actions.act("retry", [each.first_id], Asked(row.pk, now))
        if _IN_USE & done.left.keys():
            return
        each.first_at, each.first_n = now, n_tries or 0
        if not done.n:
            # It went its way by itself in the meantime, so mail flows there.
            each.first_id, each.first_at = None, None
            OperationSite.objects.undecided().filter(pk=each.pk).update(verdict=OperationSite.Verdict.GOES)
        each.save(update_fields=["first_id", "first_at", "first_n"])
    site_id = each.site_id or (each.domain.site_id if each.domain else None)
    if site_id and done.n:
        backoff.end(site_id)


def _look(each: OperationSite, first: Delivery | None) -> None:
    """Decide, where its outcome is known or the time is up."""
    assert each.first_at is not None
    is_late = timezone.now() > each.first_at + PATIENCE
    verdict, told = _verdict(first, each)
    if not verdict and is_late:
        verdict = OperationSite.Verdict.LATE
    if verdict:
        # Where a person has decided in the meantime that stays; what the receiver said is told all the same.
        OperationSite.objects.filter(pk=each.pk).update(told=told[:1000])
        OperationSite.objects.undecided().filter(pk=each.pk).update(verdict=verdict)
        events.publish("operations", operation=each.operation_id)


def _verdict(first: Delivery | None, each: OperationSite) -> tuple[str, str]:
    assert each.first_at is not None
    if first is None or first.state == State.DELIVERED:
        return OperationSite.Verdict.GOES, ""
    was_tried = first.n_attempts > each.first_n or (
        first.last_attempt_at is not None and first.last_attempt_at > each.first_at
    )
    if first.state == State.SENDING or not was_tried:
        return "", ""
    if first.last_class in _ITS_OWN:
        return OperationSite.Verdict.GOES, first.last_reply
    return OperationSite.Verdict.FAILED, first.last_reply


# ── When the rest may go ──────────────────────────────────────────────────────────────────────


def _due(row: Operation, ids: list[int], now: datetime) -> Callable[[Row], datetime | str]:
    domains = set(_domains_of(ids))
    rows = RecipientDomain.objects.filter(pk__in=domains).values_list("pk", "site_id", "rate")
    keys = {pk: key_of(pk, site_id, rate) for pk, site_id, rate in rows}
    planned = OperationSite.objects.filter(operation=row)
    by_site = {each.site_id: each for each in planned.filter(site_id__in={key[0] for key in keys.values()})}
    by_domain = {each.domain_id: each for each in planned.filter(domain_id__in=domains)}

    def due(delivery: Row) -> datetime | str:
        # A domain that was placed at a site since it was planned is still planned as a domain.
        each = by_domain.get(delivery.domain_id) or by_site.get(keys[delivery.domain_id][0])
        if each is None:
            return now
        if each.verdict == OperationSite.Verdict.FAILED:
            return FIRST_FAILED
        if each.verdict == OperationSite.Verdict.STOPPED:
            return STOPPED
        return now + timedelta(seconds=random.uniform(0, each.spread)) if each.spread else now

    return due


def _domains_of(ids: list[int]) -> list[int]:
    sql = f"SELECT DISTINCT domain_id FROM queueapp_delivery WHERE {any_of('id')}"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [id_list(ids)])
        return [pk for (pk,) in cursor.fetchall()]
