"""Take back what a dead runner held.

On its own machine a runner is dead when nobody holds the lock of its journal; on another one,
when its lease has run out. The journal says what became of each claim: a reply that was read
is recorded; a dot without a reply is *ambiguous* and tried again; all else was never sent and
goes back. Where the journal is out of reach (another machine), every claim may have been
sent, so all are ambiguous.

A runner elsewhere may be alive although its lease has run out: the database was away, and nobody
could renew. So it has some seconds to do so after we first saw it; only who sees it twice acts.

Promises: a row leaves `sending` once; a reaper that races another, or a runner that only
seemed dead, writes nothing, because the token is checked in the same statement.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from queueapp import conf, events, kick
from queueapp.engine import journal, lease, outcome, tokens
from queueapp.engine.claim import claimed_by
from queueapp.engine.counters import Changes
from queueapp.engine.outcome import Result
from queueapp.models import Attempt, Delivery, Runner, State
from queueapp.transports.base import Outcome

log = logging.getLogger(__name__)
_BATCH = 500
# What lost its runner once goes at once; from the second time on it waits, twice as long each time:
# it may be what kills them, but most likely it only stood beside it.
_WAIT, _WAIT_CAP = timedelta(seconds=5), timedelta(minutes=15)
PATIENCE = 10.0
_suspects: dict[int, float] = {}
"""Runners whose death only the clock tells, and when this process first saw it."""


def reap(patience: float = PATIENCE) -> int:
    """Settle the claims of all dead runners; returns how many deliveries went back or were settled."""
    folder = conf.current().journal
    here = set(journal.known_runners(folder))
    n = sum(_safely(runner_id, _reap_here) for runner_id in sorted(here))
    now, suspects = time.monotonic(), _without_life() - here
    for gone in _suspects.keys() - suspects:
        del _suspects[gone]
    for runner_id in sorted(suspects):
        if now - _suspects.setdefault(runner_id, now) >= patience:
            n += _safely(runner_id, partial(_take_back, dotted=None))
    return n


def _without_life() -> set[int]:
    """Runners whose lease has run out, and those that ended and hold claims nevertheless: their machine
    was lost at the very end, or they claimed when somebody had already ended them."""
    lapsed = set(Runner.objects.lapsed().values_list("id", flat=True))
    holding = Delivery.objects.filter(state=State.SENDING, runner_id__isnull=False)
    tokens = {token for token in holding.order_by().values_list("runner_id", flat=True).distinct() if token}
    alive = set(Runner.objects.filter(id__in=tokens, ended_at__isnull=True).values_list("id", flat=True))
    return lapsed | (tokens - alive)


def _safely(runner_id: int, take: Callable[[int], int]) -> int:
    """What is wrong with one runner's remains must not keep the others' mail."""
    try:
        return take(runner_id)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("the claims of runner %d could not be taken back", runner_id)
        return 0


def _reap_here(runner_id: int) -> int:
    folder = conf.current().journal
    lock = journal.take_lock(folder, runner_id)
    if lock is None:
        return 0
    try:
        n, dotted = _replay(runner_id)
        n += _take_back(runner_id, dotted)
        journal.remove(folder, runner_id)
        return n
    finally:
        os.close(lock)


def _replay(runner_id: int) -> tuple[int, set[tuple[int, int]]]:
    """Record the replies that were read. Returns how many, and the dots that got none."""
    dotted: set[tuple[int, int]] = set()
    replies: dict[tuple[int, int], tuple[Outcome, datetime]] = {}
    for kind, claims, outcomes, at in journal.replay(conf.current().journal, runner_id):
        if kind == "dot":
            dotted.update(claims)
            for claim in claims:
                replies.pop(claim, None)
        elif at:
            replies.update(zip(claims, ((each, at) for each in outcomes), strict=True))
            dotted.difference_update(claims)
    n = 0
    pending = list(replies.items())
    for start in range(0, len(pending), _BATCH):
        some = dict(pending[start : start + _BATCH])
        rows = claimed_by(runner_id, [pk for pk, _ in some])
        results = [
            Result(row, *some[row.id, row.n_attempts]) for row in rows if (row.id, row.n_attempts) in some
        ]
        n += _record(runner_id, results, dotted)
    return n, dotted


def _record(runner_id: int, results: list[Result], dotted: set[tuple[int, int]]) -> int:
    """All at once, or one by one where one of them can't be stored: then that one is ambiguous."""
    if not results:
        return 0
    try:
        return sum(outcome.record(runner_id, results))
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        if len(results) > 1:
            return sum(_record(runner_id, [result], dotted) for result in results)
        log.exception("a reply that runner %d read can't be recorded", runner_id)
        dotted.add((results[0].claimed.id, results[0].claimed.n_attempts))
        return 0


def _take_back(runner_id: int, dotted: set[tuple[int, int]] | None) -> int:
    """Everything that is still under the token goes back to the queue. `dotted` None: all may be sent."""
    n = 0
    while some := _take_back_some(runner_id, dotted):
        n += some
    ended = lease.end(runner_id)
    tokens.forget(runner_id)
    if n:
        log.warning("runner %d died: %d deliveries went back to the queue", runner_id, n)
        events.publish("deliveries", reaped=n)
        kick.kick()
    elif ended:
        events.publish("runners", runner=runner_id)
    return n


def _take_back_some(runner_id: int, dotted: set[tuple[int, int]] | None) -> int:
    now = timezone.now()
    changes = Changes()
    attempts = []
    with transaction.atomic():
        rows = list(
            Delivery.objects.select_for_update()
            .filter(runner_id=runner_id, state=State.SENDING)
            .order_by("id")[:_BATCH]
        )
        for row in rows:
            row.is_ambiguous = row.is_ambiguous or dotted is None or (row.pk, row.n_attempts) in dotted
            if dotted is None or (row.pk, row.n_attempts) in dotted:
                attempts.append(_ambiguous_attempt(row, runner_id, now))
                row.state = State.DEFERRED
                row.last_class, row.last_code, row.last_enhanced = "connection", None, ""
                row.last_text, row.last_attempt_at = attempts[-1].text, now
            else:
                row.n_attempts -= 1
                row.state = State.DEFERRED if row.n_attempts else State.QUEUED
            row.n_reaped += 1
            row.next_attempt_at = now + _pause(row.n_reaped)
            row.runner_id = None
            changes.move(row.domain_id, State.SENDING, row.state)
            changes.waits_until(row.domain_id, row.next_attempt_at)
        Delivery.objects.bulk_update(
            rows,
            ["state", "n_attempts", "n_reaped", "next_attempt_at", "runner_id", "is_ambiguous", "last_class",
             "last_code", "last_enhanced", "last_text", "last_attempt_at"],
            batch_size=100,
        )  # fmt: skip
        Attempt.objects.bulk_create(attempts)
        changes.apply()
    return len(rows)


def _pause(n_reaped: int) -> timedelta:
    if n_reaped == 1:
        return timedelta(0)
    return min(_WAIT * 2 ** min(n_reaped - 2, 10), _WAIT_CAP)


def _ambiguous_attempt(row: Delivery, runner_id: int, now: datetime) -> Attempt:
    return Attempt(
        delivery_id=row.pk,
        at=now,
        result="deferred",
        reply_class="connection",
        text="the runner died before it read the reply: the mail may have arrived",
        rule="reaped",
        stage="dot",
        runner_id=runner_id,
        is_ambiguous=True,
    )
