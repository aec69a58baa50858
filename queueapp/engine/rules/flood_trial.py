"""What a rule about floods would have done: the last day's accepted mail, counted again by the minute.

Whoever would have been stopped, when, and how much would have been held from then on. What was usual is
learned again from the day before that, as far as the time allows, and from each minute as it passes; what
was learned by then and is more than the day itself shows counts as well. An allowance counts as it is now.
Nothing is changed. The table is read newest first, in slices, until both days are covered or the time is up:
then the answer says since when it looked.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Max
from django.utils import timezone

from queueapp.engine.rules import flood
from queueapp.engine.rules.ruleset import Rule
from queueapp.engine.rules.trial import DAY, SECONDS, Match, On, Trial
from queueapp.engine.suspensions import AGAIN, grown
from queueapp.models import Message, RuleCondition, RuleScope, SenderUsual
from queueapp.models.bulk import as_time

Counts = dict[str, dict[datetime, int]]
"""By key and minute: deliveries that were handed in."""
Sum = tuple[str, datetime | str, int, int]
"""Who, in which minute, how many deliveries by how many messages."""
_SLICE, _MOST_TARGETS, _EXAMPLES, _MOST_KEYS = 50_000, 20, 5, 10_000
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_COLUMNS = {RuleScope.LOGIN: "login", RuleScope.SENDER: "sender"}
_READ = """
    SELECT {column}, {minute}, sum(n_recipients), count(*) FROM queueapp_message
    WHERE id >= %s AND id < %s AND accepted_at >= %s AND {column} <> '' AND source <> 'report'
    GROUP BY 1, 2"""
_MINUTE_OF = {
    "postgresql": "date_trunc('minute', accepted_at)",
    "sqlite": "substr(accepted_at, 1, 16) || ':00'",
}


def of(rule: Rule, seconds: float = SECONDS) -> Trial:
    """Look through the last day, for at most so many seconds. Only for rules about floods."""
    began, now = time.monotonic(), timezone.now()
    made = Trial(now - DAY, is_whole=True, condition=RuleCondition.FLOOD)
    counts: Counts = defaultdict(lambda: defaultdict(int))
    times = _Times()
    for back_to, rows in _slices(rule.scope, now - 2 * DAY):
        for name, minute, n, n_messages in rows:
            at = times[minute]
            counts[f"{rule.scope}:{name.lower()}"][at] += n
            made.n_looked += n_messages if at >= now - DAY else 0
        is_late = time.monotonic() - began > seconds
        if is_late and back_to > now - DAY:
            made.since, made.is_whole = back_to, False
        if is_late:
            break
    played = {key: _played(rule, key, minutes, made.since) for key, minutes in _busy(counts, rule).items()}
    on = [each for each, _ in played.values() if each.n_times]
    made.n_targets = len(on)
    made.n_times = sum(each.n_times for each in on)
    made.n_matched = sum(each.n_matched for each in on)
    made.targets = sorted(on, key=lambda each: (-each.n_matched, each.label))[:_MOST_TARGETS]
    stops = [stop for each, stops in played.values() if each.n_times for stop in stops]
    made.examples = sorted(stops, key=lambda each: each.at, reverse=True)[:_EXAMPLES]
    made.took_s = time.monotonic() - began
    return made


def _slices(scope: str, since: datetime) -> Iterator[tuple[datetime, list[Sum]]]:
    """Sums of a slice of the table, the newest first, and from when on all have been given."""
    column, minute = _COLUMNS[RuleScope(scope)], _MINUTE_OF[connection.vendor]
    high = (Message.objects.aggregate(most=Max("pk"))["most"] or 0) + 1
    while high > 1:
        low = max(high - _SLICE, 1)
        with connection.cursor() as cursor:
            # The names are from the tables above, and from nowhere else.
            cursor.execute(_READ.format(column=column, minute=minute), [low, high, since])
            rows = cursor.fetchall()
        first = Message.objects.filter(pk__lt=low).order_by("-pk").values_list("accepted_at", flat=True)
        before = first.first()
        yield before or since, rows
        if before is None or before < since:
            return
        high = low


def _busy(counts: Counts, rule: Rule) -> dict[str, dict[datetime, int]]:
    """Whoever handed in the floor within the rule's time at all; nobody else can be meant."""
    found = {key: minutes for key, minutes in counts.items() if _most(minutes, rule.per) >= rule.n_hits}
    return dict(sorted(found.items(), key=lambda each: -sum(each[1].values()))[:_MOST_KEYS])


def _most(minutes: Mapping[datetime, int], per: timedelta) -> int:
    """The most within such a time."""
    if per <= _MINUTE:
        return max(minutes.values())
    most = n = first = 0
    order = sorted(minutes)
    for at in order:
        n += minutes[at]
        while order[first] <= at - per:
            n -= minutes[order[first]]
            first += 1
        most = max(most, n)
    return most


class _Times(dict[datetime | str, datetime]):
    """Minutes as databases give them; the same ones come again for each sender."""

    def __missing__(self, value: datetime | str) -> datetime:
        self[value] = at = as_time(value)
        return at


def _played(rule: Rule, key: str, minutes: Mapping[datetime, int], since: datetime) -> tuple[On, list[Match]]:
    """One sender's minutes in the order of time, as the rule would have answered them."""
    name = key.partition(":")[2]
    on, stops = On(name), list[Match]()
    known = SenderUsual.objects.filter(key=key).first()
    allowance = flood.allowance_of(key)
    usual = _Usual(known, minutes)
    recent: deque[tuple[datetime, int]] = deque()
    until: datetime | None = None
    n_row = 0
    for at in sorted(minutes):
        n = minutes[at]
        if until is not None and at < until:
            on.n_matched += n
            on.last = at
            continue
        recent.append((at, n))
        while recent[0][0] <= at - _HOUR and recent[0][0] <= at - rule.per:
            recent.popleft()
        within = sum(each for when, each in recent if when > at - max(rule.per, _MINUTE))
        of_hour = sum(each for when, each in recent if when > at - _HOUR)
        told = usual.within(rule.per, at)
        why = ""
        if at >= since and within >= rule.n_hits:
            why = flood.reason(rule, within, told, allowance, of_hour)
        if not why:
            usual.learn(at, n, of_hour)
            continue
        n_row = n_row + 1 if until is not None and until > at - AGAIN else 1
        lasts = grown(rule.lasts, rule.growth, rule.cap, n_row, None) if rule.lasts else 2 * DAY
        until = at + lasts
        recent.clear()
        on.n_times += 1
        on.n_matched += within
        on.seconds += lasts.total_seconds()
        on.first, on.last = on.first or at, at
        stops.append(Match(at, key, name, why, name))
    return on, stops


class _Usual:
    """What was usual for a sender at a time, learned again minute by minute (flood.learn does it live)."""

    def __init__(self, known: SenderUsual | None, minutes: Mapping[datetime, int]) -> None:
        self.most_minute = self.most_hour = 0.0
        self.at = min(minutes)
        # More than all that is seen here was learned before: it counts from the begin.
        if known is not None and known.most_minute * flood.fade(timezone.now() - known.seen_at) > max(
            minutes.values()
        ):
            self.most_minute, self.most_hour = known.most_minute, known.most_hour
        self._waiting: deque[tuple[datetime, int, int]] = deque()

    def learn(self, at: datetime, n: int, of_hour: int) -> None:
        """A minute that was no flood is usual a while later."""
        self._waiting.append((at, n, of_hour))

    def within(self, per: timedelta, at: datetime) -> float:
        while self._waiting and self._waiting[0][0] <= at - flood.SETTLES:
            when, n, of_hour = self._waiting.popleft()
            left = flood.fade(when - self.at)
            self.most_minute = max(self.most_minute * left, n)
            self.most_hour = max(self.most_hour * left, of_hour)
            self.at = when
        return flood.usual_within(self.most_minute, self.most_hour, per) * flood.fade(at - self.at)
