"""Reads the attempts that came since the last look, and keeps the figures of the board with them: last
outcomes, times to deliver, classes of replies, the last error, by domain and by site; and how often each
line of the classifier decided.

In the background, so that an outcome's commit costs what it did before. Promises: each attempt is
counted once, however often this runs and on however many machines: the bookmark moves in the
transaction that adds, and only from where it was read. Bounded steps; after a stop it goes on where
it was. Never: reads an attempt whose neighbours may still be uncommitted (`_safe`), for what is behind
the bookmark is not looked at again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from queueapp.models import (
    EVERY_DOMAIN,
    LAST,
    LETTERS,
    Attempt,
    Bookmark,
    DomainFigures,
    OutcomeSlot,
    RuleHour,
    SiteFigures,
    of_site,
)
from queueapp.models.minute import TOTALS_AT
from queueapp.stats import totals
from queueapp.stats.spread import bucket_of, together

NAME = "outcomes"
SLOT = 600
BATCH = 2000
AT_MOST = 20_000
_PATIENCE = 60.0
"""Seconds after which a transaction that does not end is not waited for: its lease ran out long ago."""
_FIGURES = ("outcomes", "tried_at", "delivered_at", "error_class", "error_reply", "error_at", "refresh_at")
_ROW = (
    "pk", "at", "result", "reply_class", "source", "delivery__accepted_at", "delivery__message__send_at",
    "delivery__domain_id", "delivery__domain__site_id", "rule",
)  # fmt: skip

Found = DomainFigures | SiteFigures


@dataclass(slots=True)
class News:
    """What a batch says of one domain or site."""

    outcomes: str = ""
    tried_at: datetime | None = None
    delivered_at: datetime | None = None
    error: int = 0


@dataclass(slots=True)
class Tally:
    slots: dict[tuple[int, datetime], tuple[Counter[str], Counter[str]]] = field(default_factory=dict)
    domains: dict[int, News] = field(default_factory=dict)
    sites: dict[int, News] = field(default_factory=dict)
    rules: Counter[tuple[datetime, str]] = field(default_factory=Counter)
    totals: totals.News = field(default_factory=totals.News)


def slot_of(at: datetime) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // SLOT * SLOT, at.tzinfo)


def hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def roll(upto: int | None = None) -> int:
    """Count what came; returns how many attempts. `upto`: known to be safe."""
    n = 0
    upto = _safe() if upto is None else upto
    while n < AT_MOST and (done := _step(upto)):
        n += done
    return n


def _step(upto: int) -> int:
    mark, _ = Bookmark.objects.get_or_create(pk=NAME)
    if upto <= mark.number:
        return 0
    attempts = Attempt.objects.filter(pk__gt=mark.number, pk__lte=upto).order_by("pk")
    rows = list(attempts.values_list(*_ROW)[:BATCH])
    number = rows[-1][0] if len(rows) == BATCH else upto
    tally = _tally(rows)
    # All is read and worked out before the transaction, so that SQLite's one writer is not kept waiting.
    slots, rules = _slots(tally), _rules(tally)
    errors = _errors([*tally.domains.values(), *tally.sites.values()])
    domains = _figures(DomainFigures, tally.domains, errors)
    sites = _figures(SiteFigures, tally.sites, errors)
    with transaction.atomic():
        ours = Bookmark.objects.filter(pk=NAME, number=mark.number)
        if not ours.update(number=number, at=timezone.now(), data=tally.totals.onto(mark.data)):
            return 0
        OutcomeSlot.objects.bulk_create(
            slots, update_conflicts=True, unique_fields=["scope", "at"], update_fields=["times", "classes"]
        )
        RuleHour.objects.bulk_create(
            rules, update_conflicts=True, unique_fields=["at", "rule"], update_fields=["n"]
        )
        DomainFigures.objects.bulk_create(
            domains, update_conflicts=True, unique_fields=["domain"], update_fields=_FIGURES
        )
        SiteFigures.objects.bulk_create(
            sites, update_conflicts=True, unique_fields=["site"], update_fields=_FIGURES
        )
    return len(rows)


def _tally(rows: Iterable[Any]) -> Tally:
    tally = Tally()
    for pk, at, result, reply_class, source, accepted_at, send_at, domain_id, site_id, rule in rows:
        owners = [tally.domains.setdefault(domain_id, News())]
        slot = slot_of(at)
        scopes = [(EVERY_DOMAIN, slot), (domain_id, slot)]
        if site_id:
            owners.append(tally.sites.setdefault(site_id, News()))
            scopes += [(of_site(site_id), slot), (of_site(site_id), TOTALS_AT)]
        is_delivered = result == "delivered"
        if rule and not is_delivered:
            tally.rules[hour_of(at), rule] += 1
        took = max(0.0, (at - max(send_at or accepted_at, accepted_at)).total_seconds())
        bucket = bucket_of(took) if is_delivered else None
        for scope in scopes:
            times, classes = tally.slots.setdefault(scope, (Counter(), Counter()))
            classes[reply_class] += 1
            if bucket is not None:
                times[bucket] += 1
        tally.totals.add(result, reply_class, source, bucket, took)
        for news in owners:
            news.outcomes = (news.outcomes + LETTERS.get(result, "w"))[-LAST:]
            news.tried_at = at
            if is_delivered:
                news.delivered_at = at
            elif result == "deferred":
                news.error = pk
    return tally


def _slots(tally: Tally) -> list[OutcomeSlot]:
    scopes, times = {scope for scope, _ in tally.slots}, {at for _, at in tally.slots}
    there = {(row.scope, row.at): row for row in OutcomeSlot.objects.filter(scope__in=scopes, at__in=times)}
    made = []
    for (scope, at), (spread, classes) in sorted(tally.slots.items()):
        before = there.get((scope, at)) or OutcomeSlot(scope=scope, at=at)
        whole = OutcomeSlot(scope=scope, at=at)
        whole.times = together([before.times, spread])
        whole.classes = together([before.classes, classes])
        made.append(whole)
    return made


def _rules(tally: Tally) -> list[RuleHour]:
    """Which line decided how many of each hour, with what is there."""
    hours = {at for at, _ in tally.rules}
    there = {(row.at, row.rule): row.n for row in RuleHour.objects.filter(at__in=hours)}
    return [
        RuleHour(at=at, rule=rule, n=n + there.get((at, rule), 0))
        for (at, rule), n in sorted(tally.rules.items())
    ]


def _errors(news: list[News]) -> dict[int, tuple[str, str, datetime]]:
    """Attempt to class, reply and time."""
    rows = Attempt.objects.filter(pk__in={each.error for each in news if each.error})
    return {
        pk: (reply_class, " ".join(part for part in (str(code or ""), enhanced, text) if part)[:1000], at)
        for pk, reply_class, code, enhanced, text, at in rows.values_list(
            "pk", "reply_class", "code", "enhanced", "text", "at"
        )
    }


def _figures(
    model: type[Found], news: dict[int, News], errors: dict[int, tuple[str, str, datetime]]
) -> list[Any]:
    there = model._default_manager.in_bulk(list(news))
    made, now = [], timezone.now()
    for pk, each in sorted(news.items()):
        row = there.get(pk) or model(pk=pk)
        row.outcomes = (row.outcomes + each.outcomes)[-LAST:]
        row.tried_at = each.tried_at
        row.delivered_at = each.delivered_at or row.delivered_at
        if each.error in errors:
            row.error_class, row.error_reply, row.error_at = errors[each.error]
        row.refresh_at = row.refresh_at or now
        made.append(row)
    return made


# ── How far may be read ───────────────────────────────────────────────────────────────────────
#
# PostgreSQL gives ids before the rows are committed, so a row may appear behind one that was read. What
# was the last id a look ago is safe when every transaction that ran then has ended: ids are given in
# order, and to transactions that have a number of their own by then, since they changed rows before.


@dataclass(slots=True)
class _Look:
    last: int = 0
    horizon: int = 0
    seen_at: float = 0.0
    safe: int = 0


_look = _Look()


def _safe() -> int:
    if connection.vendor != "postgresql":
        return Attempt.objects.aggregate(last=Max("pk"))["last"] or 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, "
            "pg_current_xact_id()::text::bigint, (SELECT max(id) FROM queueapp_attempt)"
        )
        oldest, newest, last = cursor.fetchone()
    now = time.monotonic()
    if oldest >= _look.horizon or now - _look.seen_at > _PATIENCE:
        _look.safe = _look.last
        _look.last, _look.horizon, _look.seen_at = last or 0, newest, now
    return _look.safe


def forget() -> None:
    """For tests, which take rows back."""
    global _look
    _look = _Look()
