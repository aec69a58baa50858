"""One round: look at every rule, move the alerts, tell people. Runs in the process `watch`, every 5 seconds.

Promises: what became of an alert and the notice of it are one commit, so that whatever is killed, nobody is
told twice and nobody is not told. It reads counters, figures and rollups, never the live table. Where the
database is away, away.py tells of that from memory. Two machines that watch take turns.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from queueapp import conf, events
from queueapp.models import Alert, AlertRule, AlertState, Bookmark, Silence
from queueapp.watch.alerts import away, muting, shipped, states, telling
from queueapp.watch.alerts.facts import Facts
from queueapp.watch.alerts.looking import Looking
from queueapp.watch.alerts.seen import Seen

NAME = "alerts"
EVERY = 5.0  # seconds
FIGURES = 30.0
"""Seconds between two writes of an alert of which only value and title changed."""
log = logging.getLogger(__name__)
_looking = Looking()
_last_good: list[float] = []


def look() -> None:
    """A round as the schedule calls it."""
    now = timezone.now()
    try:
        one(now)
    except (DatabaseError, InterfaceError) as error:
        away.note(error, now)
        raise
    away.over(now)
    _last_good[:] = [time.monotonic()]


def is_well(within: float = 60.0) -> bool:
    """Whether a round ended well a moment ago, in this process: what the dead man's ping stands for."""
    return bool(_last_good) and time.monotonic() - _last_good[0] < within


def one(now: datetime, looking: Looking | None = None, at: float | None = None) -> int:
    """Returns how many alerts began, changed state or ended; 0 where another machine has just looked."""
    with transaction.atomic():
        mark, _ = Bookmark.objects.select_for_update().get_or_create(name=NAME)
        if mark.at is not None and mark.at <= now < mark.at + timedelta(seconds=EVERY * 0.6):
            return 0
        Bookmark.objects.filter(pk=NAME).update(at=now)
    shipped.sync()
    rules = {rule.pk: rule for rule in AlertRule.objects.filter(is_enabled=True)}
    facts = Facts(now)
    at = time.monotonic() if at is None else at
    seen, blind = (looking or _looking).all(rules.values(), facts, at)
    with transaction.atomic():
        n = _move(rules, seen, blind, now)
        n += telling.tell(now)
        if n:
            events.publish("alerts")
    return n


def _move(
    rules: dict[int, AlertRule], seen: dict[tuple[int, str], Seen], blind: set[int], now: datetime
) -> int:
    rows = {(row.rule_id or -row.pk, row.key): row for row in Alert.objects.live().select_for_update()}
    before = {row.pk: _gist(row) for row in rows.values()}
    became: Counter[str] = Counter()
    fresh: list[Alert] = []
    changed: list[Alert] = []
    dropped: list[Alert] = []
    for (pk, key), what in seen.items():
        row = rows.pop((pk, key[:600]), None)
        if row is None:
            row = states.begin(rules[pk], what, now)
            fresh.append(row)
        else:
            changed.append(row)
        told = states.hold(row, rules[pk], what, now)
        if told == "fired":
            _note_flapping(row, now)
        became[told or ("new" if row.pk is None else "")] += 1
    for row in rows.values():
        if row.rule_id in blind:
            continue
        told = states.miss(row, rules.get(row.rule_id or 0), now)
        became[told] += 1
        (dropped if told == "dropped" else changed).append(row)
    Alert.objects.filter(pk__in=[row.pk for row in dropped]).delete()
    _mute([*fresh, *changed], now)
    Alert.objects.bulk_create(fresh, batch_size=200)
    # An upsert costs a tenth of bulk_update; figures alone are written now and then.
    news = [row for row in changed if _gist(row) != before[row.pk]]
    Alert.objects.bulk_create(
        news, update_conflicts=True, unique_fields=["id"], update_fields=_FIELDS, batch_size=200
    )
    return sum(n for what, n in became.items() if what)


def _gist(row: Alert) -> tuple[object, ...]:
    """What must be written at once; and each half minute the rest."""
    slice_ = int(row.seen_at.timestamp() // FIGURES)
    return (
        row.state, row.severity, row.muted_by, row.is_flapping, row.clear_since, row.since, row.label, slice_,
    )  # fmt: skip


def _note_flapping(row: Alert, now: datetime) -> None:
    before = Alert.objects.filter(key=row.key, rule_id=row.rule_id, resolved_at__gt=now - states.FLAPS_WITHIN)
    row.is_flapping = states.flaps(row, before.count())


def _mute(rows: list[Alert], now: datetime) -> None:
    recent = Alert.objects.filter(resolved_at__gt=now - muting.AFTER)
    parents = muting.parents([*rows, *recent], now)
    silences = list(Silence.objects.in_force(now).select_related("rule"))
    hours = conf.current().alert_quiet
    is_quiet = hours is not None and muting.is_quiet(now, (hours.begin, hours.end), hours.zone)
    for row in rows:
        if row.state != AlertState.RESOLVED:
            row.muted_by = muting.by(row, silences, parents, is_quiet=is_quiet)


_FIELDS = (
    "severity", "scope", "label", "title", "cause", "value", "threshold", "detail", "state", "since",
    "seen_at", "clear_since", "fired_at", "resolved_at", "muted_by", "is_flapping",
)  # fmt: skip
