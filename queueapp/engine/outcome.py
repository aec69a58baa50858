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
from typing import Any

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
from queueapp.models import State, Suppression
from queueapp.models.bulk import ManyRows, NewRows, any_of, id_list
from queueapp.models.trips import together
from queueapp.stats import Tally
from queueapp.transports.base import Outcome

_MOST_TRANSCRIPT = 10_000


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
        written = _write_rows(runner_id, results, decisions)
        live = [result for result in results if result.claimed.id in written]
        if len(live) != len(results):
            reports = _reports(live, decisions)
        with together(is_end=True):
            _ATTEMPTS.add([_attempt(runner_id, result) for result in live if result.is_try])
            _TRANSCRIPTS.run([_transcript(each) for each in live if each.outcome.transcript and each.is_try])
            _suppress(live)
            for result in live:
                decision, domain_id = decisions[id(result)], result.claimed.domain_id
                changes.move(domain_id, State.SENDING, decision.state)
                if result.is_try or decision.state != State.DEFERRED:
                    tally[domain_id, str(decision.state)] += 1
                if decision.next_attempt_at:
                    changes.waits_until(domain_id, decision.next_attempt_at)
            if reports:
                store(reports, ids, changes, tally)
            changes.apply()
            stats.record(tally, timezone.now())
        events.publish("deliveries", settled=len(live))
    return [result.claimed.id in written for result in results]


# The values of a row, then what it must still be: claimed by this runner, in this attempt.
_SET = """
    state = {state}, runner_id = NULL, next_attempt_at = {next}, finished_at = {finished},
    last_attempt_at = {at}, last_class = {reply_class}, last_code = {code}, last_enhanced = {enhanced},
    last_text = {text}, last_host = {host}, n_attempts = {n_attempts},
    is_ambiguous = (is_ambiguous OR {ambiguous}), is_warned = (is_warned OR {warned})
"""
_NAMES = (
    "id", "claim", "state", "next", "finished", "at", "reply_class", "code", "enhanced", "text", "host",
    "n_attempts", "ambiguous", "warned",
)  # fmt: skip
_UPDATE = ManyRows(
    "id:bigint claim:integer state:text next:timestamptz finished:timestamptz at:timestamptz "
    "reply_class:text code:smallint enhanced:text text:text host:text n_attempts:integer "
    "ambiguous:boolean warned:boolean",
    postgresql=f"""
        UPDATE queueapp_delivery d SET {_SET.format(**{name: f"v.{name}" for name in _NAMES})}
        FROM {{rows}} WHERE d.id = v.id AND d.state = 'sending' AND d.n_attempts = v.claim
            AND d.runner_id + 0 = %s  -- by id, and not by delivery_sending: that is all the runner ever held
        RETURNING d.id""".replace("is_ambiguous OR", "d.is_ambiguous OR").replace("(is_w", "(d.is_w"),
    sqlite=f"""
        UPDATE queueapp_delivery
        SET {_SET.format(**{name: f"?{place}" for place, name in enumerate(_NAMES, 1)})} WHERE id = ?1""",
)
_ATTEMPTS = NewRows(
    "queueapp_attempt",
    "delivery_id:bigint at:timestamptz result:text reply_class:text code:smallint enhanced:text text:text "
    "rule:text stage:text host:text address:text source:text tls:text runner_id:bigint took_ms:integer "
    "is_ambiguous:boolean",
)

# By delivery and time, so that the attempts need no ids from us: most of them have no transcript.
_TRANSCRIPTS = ManyRows(
    "delivery:bigint at:timestamptz text:text",
    postgresql="""
        INSERT INTO queueapp_attempttranscript (attempt_id, text)
        SELECT max(a.id), v.text FROM {rows} JOIN queueapp_attempt a
            ON a.delivery_id = v.delivery AND a.at = v.at GROUP BY v.delivery, v.text""",
    sqlite="""
        INSERT INTO queueapp_attempttranscript (attempt_id, text)
        SELECT max(id), ?3 FROM queueapp_attempt WHERE delivery_id = ?1 AND at = ?2""",
)


def _write_rows(runner_id: int, results: list[Result], decisions: dict[int, Decision]) -> set[int]:
    """Ids of those that were still ours, and so are written."""
    rows = {result.claimed.id: _row(result, decisions[id(result)]) for result in results}
    if connection.vendor == "postgresql":
        return {pk for (pk,) in _UPDATE.run(list(rows.values()), after=[runner_id])}
    ours = _still_mine(runner_id, list(rows))
    mine = {pk: row for pk, row in rows.items() if (pk, row[1]) in ours}
    _UPDATE.run(list(mine.values()))
    return set(mine)


def _still_mine(runner_id: int, ids: list[int]) -> set[tuple[int, int]]:
    """(delivery, attempt). For SQLite, whose lock on the database keeps it true until the commit."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, n_attempts FROM queueapp_delivery WHERE state = 'sending' AND runner_id = %s AND "
            + any_of("id"),
            [runner_id, id_list(ids)],
        )
        return set(cursor.fetchall())


# Texts are cleaned here as well: PostgreSQL takes neither NUL nor surrogates, and one such text, by
# whatever way it came, would keep its whole batch out.
def _row(result: Result, decision: Decision) -> tuple[Any, ...]:
    row, outcome = result.claimed, result.outcome
    return (
        row.id, row.n_attempts, decision.state.value, decision.next_attempt_at,
        result.at if decision.next_attempt_at is None else None, result.at, outcome.reply_class, outcome.code,
        clean(outcome.enhanced, 16), clean(outcome.text, 1000), clean(outcome.host, 255),
        row.n_attempts if result.is_try else row.n_attempts - 1, outcome.is_ambiguous, decision.is_late,
    )  # fmt: skip


def _attempt(runner_id: int, result: Result) -> tuple[Any, ...]:
    outcome = result.outcome
    return (
        result.claimed.id, result.at, outcome.result, outcome.reply_class, outcome.code,
        clean(outcome.enhanced, 16), clean(outcome.text, 1000), clean(outcome.rule, 64), outcome.stage,
        clean(outcome.host, 255), clean(outcome.address, 64), clean(outcome.source, 64),
        clean(outcome.tls, 64), runner_id, result.took_ms, outcome.is_ambiguous,
    )  # fmt: skip


def _transcript(result: Result) -> tuple[Any, ...]:
    # The transport made it printable; a line feed and nothing worse is left in it.
    text = result.outcome.transcript.replace("\0", "")[:_MOST_TRANSCRIPT]
    return result.claimed.id, result.at, text.encode("utf-8", "replace").decode()


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
