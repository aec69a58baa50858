"""Record what the attempts gave: the only way from `sending` to any other state by a runner.

Promises: all of a batch in one transaction — state, attempt rows, counters, rollup,
suppression, reports to senders — or nothing. Fencing: a row is written only while it is still
`sending` under the runner's token and in the same claim; what a reaper has taken back in the
meantime is left alone, and counted as `stale`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from queueapp import conf, events, stats
from queueapp.engine import bounce, domains
from queueapp.engine.claim import Claimed
from queueapp.engine.counters import Changes
from queueapp.engine.enqueue import NewMessage, store
from queueapp.mail.backoff import retry_in
from queueapp.mail.classify import CLASSES
from queueapp.mail.reply import clean
from queueapp.models import Attempt, Delivery, State, Suppression
from queueapp.stats import Tally
from queueapp.transports.base import Outcome


@dataclass(slots=True)
class Result:
    """One delivery's outcome. `is_try` False: the site backs off, and nothing was sent."""

    claimed: Claimed
    outcome: Outcome
    at: datetime
    took_ms: int = 0
    is_try: bool = True
    not_before: datetime | None = None
    is_at_once: bool = False
    """There is another way to try, and no reason to wait."""


@dataclass(slots=True)
class Decision:
    """What becomes of a delivery."""

    state: State
    next_attempt_at: datetime | None
    is_late: bool = False


def decide(result: Result) -> Decision:
    """Pure: from an outcome to a state and a next time (DESIGN.md, "Retry")."""
    row, outcome = result.claimed, result.outcome
    if outcome.result == "delivered":
        return Decision(State.DELIVERED, None)
    if outcome.reply_class == "expired":
        return Decision(State.EXPIRED, None)
    if outcome.result == "bounced":
        return Decision(State.BOUNCED, None)
    is_late = result.at - row.waits_since >= conf.current().delay_warning
    last = max(row.expires_at, result.at)
    if not result.is_try and result.not_before:
        return Decision(State.DEFERRED, min(result.not_before, last), is_late and not row.is_quiet)
    wait = retry_in(row.n_attempts, first=row.retry_first, cap=row.retry_cap)
    if outcome.retry_in is not None:
        # Receivers that name a time mean it: soon after is right, before it is rude.
        wait = (
            outcome.retry_in + random.uniform(1, 5)
            if outcome.reply_class == "greylisted"
            else max(outcome.retry_in, wait if row.n_attempts > 1 else 0)
        )
    at = result.at + timedelta(seconds=0 if result.is_at_once else wait)
    if result.not_before:
        at = max(at, result.not_before)
    return Decision(State.DEFERRED, min(at, last), is_late and not row.is_quiet)


def record(runner_id: int, results: list[Result]) -> list[bool]:
    """Write a batch; for each result whether it was written (False: stale)."""
    decisions = {id(result): decide(result) for result in results}
    reports = _reports(results, decisions)
    ids = domains.ids_of(new.domain for report in reports for new in report.deliveries)
    changes, tally = Changes(), Tally()
    with transaction.atomic():
        mine = _still_mine(runner_id, results)
        live = [result for result in results if mine.get(result.claimed.id) == result.claimed.n_attempts]
        if len(live) != len(results):
            reports = _reports(live, decisions)
        _write_rows(live, decisions)
        Attempt.objects.bulk_create([_attempt(runner_id, result) for result in live if result.is_try])
        _suppress(live)
        for result in live:
            state = decisions[id(result)].state
            changes.move(result.claimed.domain_id, State.SENDING, state)
            if result.is_try or state != State.DEFERRED:
                tally[result.claimed.domain_id, str(state)] += 1
            at = decisions[id(result)].next_attempt_at
            if at:
                changes.waits_until(result.claimed.domain_id, at)
        if reports:
            store(reports, ids, changes, tally)
        changes.apply()
        stats.record(tally, timezone.now())
        events.publish("deliveries", settled=len(live))
    return [mine.get(result.claimed.id) == result.claimed.n_attempts for result in results]


def _still_mine(runner_id: int, results: list[Result]) -> dict[int, int]:
    rows = Delivery.objects.select_for_update().filter(
        id__in=[result.claimed.id for result in results], state=State.SENDING, runner_id=runner_id
    )
    return dict(rows.order_by("id").values_list("id", "n_attempts"))


_UPDATE = """
    UPDATE queueapp_delivery SET state = %s, runner_id = NULL, next_attempt_at = %s, finished_at = %s,
        last_attempt_at = %s, last_class = %s, last_code = %s, last_enhanced = %s, last_text = %s,
        last_host = %s, n_attempts = n_attempts - %s, is_ambiguous = (is_ambiguous OR %s),
        is_warned = (is_warned OR %s)
    WHERE id = %s
"""


# Texts are cleaned here as well: PostgreSQL takes neither NUL nor surrogates, and one such text, by
# whatever way it came, would keep its whole batch out.
def _write_rows(live: list[Result], decisions: dict[int, Decision]) -> None:
    stored = connection.ops.adapt_datetimefield_value
    rows = []
    for result in live:
        outcome, decision = result.outcome, decisions[id(result)]
        is_final = decision.next_attempt_at is None
        rows.append(
            (
                str(decision.state), stored(decision.next_attempt_at),
                stored(result.at if is_final else None), stored(result.at), outcome.reply_class,
                outcome.code, clean(outcome.enhanced, 16), clean(outcome.text, 1000),
                clean(outcome.host, 255), 0 if result.is_try else 1, outcome.is_ambiguous,
                decision.is_late, result.claimed.id,
            )
        )  # fmt: skip
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_UPDATE, rows)


def _attempt(runner_id: int, result: Result) -> Attempt:
    outcome = result.outcome
    return Attempt(
        delivery_id=result.claimed.id,
        at=result.at,
        result=outcome.result,
        reply_class=outcome.reply_class,
        code=outcome.code,
        enhanced=clean(outcome.enhanced, 16),
        text=clean(outcome.text, 1000),
        rule=clean(outcome.rule, 64),
        stage=outcome.stage,
        host=clean(outcome.host, 255),
        address=clean(outcome.address, 64),
        source=clean(outcome.source, 64),
        tls=clean(outcome.tls, 64),
        runner_id=runner_id,
        took_ms=result.took_ms,
        is_ambiguous=outcome.is_ambiguous,
    )


def _suppress(live: list[Result]) -> None:
    """Only a failure of the recipient counts: a blocked IP is not a bad address (promise 5)."""
    bad = [result for result in live if _is_recipients_fault(result.outcome)]
    # In one order everywhere: two runners that meet the same addresses wait, and never for each other.
    bad.sort(key=lambda result: result.claimed.recipient.lower())
    Suppression.objects.bulk_create(
        [
            Suppression(
                address=result.claimed.recipient.lower(),
                reply_class=result.outcome.reply_class,
                reason=CLASSES[result.outcome.reply_class].sentence[:255],
                evidence=clean(result.outcome.reply, 1000),
                delivery_id=result.claimed.id,
                created_at=result.at,
            )
            for result in bad
        ],
        ignore_conflicts=True,
    )


def _is_recipients_fault(outcome: Outcome) -> bool:
    info = CLASSES.get(outcome.reply_class)
    return outcome.result == "bounced" and info is not None and info.suppresses


def _reports(results: list[Result], decisions: dict[int, Decision]) -> list[NewMessage]:
    """Bounce reports and delay warnings, one a message; never one for a null sender."""
    failed = [each for each in results if decisions[id(each)].state in (State.BOUNCED, State.EXPIRED)]
    late = [each for each in results if decisions[id(each)].is_late and not each.claimed.is_warned]
    return bounce.reports([(each.claimed, each.outcome) for each in failed], is_final=True) + bounce.reports(
        [(each.claimed, each.outcome) for each in late], is_final=False
    )
