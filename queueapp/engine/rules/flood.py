"""Floods: a login or sender that hands in far more than it ever does is stopped, and its mail held.

What comes in is counted by whoever accepts it (ingest/arrivals.py), by the minute. `look` compares the
minute with the floor of the rule and with what is usual for that sender; `learn` keeps what is usual.

Promises: whoever stays below the floor, or within an allowance, is never stopped; whoever a person has let
go again is left alone for an hour. A flood does not make itself usual. Senders of nobody's interest cost one
row a minute, which is kept for two hours.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Max, Sum
from django.utils import timezone

from queueapp.engine.rules import effects, ruleset
from queueapp.engine.rules.effects import Target
from queueapp.engine.rules.ruleset import Rule
from queueapp.engine.suspensions import Cause
from queueapp.kick import kick
from queueapp.models import (
    ApiKey,
    Effect,
    RuleAction,
    RuleCondition,
    RuleScope,
    SenderMinute,
    SenderUsual,
    SmtpLogin,
)

KEEP_MINUTES = timedelta(hours=2)
_HALF_LIFE = timedelta(days=30)
_LEFT_ALONE = timedelta(hours=1)
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
SETTLES = timedelta(minutes=10)
"""What came in within it is not usual yet: a flood that begins slowly, or late in a minute, would raise the
mark for itself."""
_MOST = 1000


def look() -> int:
    """Stop who floods now; returns how many were stopped."""
    now = timezone.now()
    return sum(_by(rule, now) for rule in ruleset.enabled(RuleCondition.FLOOD))


def _by(rule: Rule, now: datetime) -> int:
    found = _above(rule.scope, rule.n_hits, now - max(rule.per, _MINUTE))
    n = 0
    for key, n_now in found.items():
        if _is_left_alone(key, now):
            continue
        why = _why(rule, key, n_now, now)
        if why:
            value = key.partition(":")[2]
            n += effects.begin(rule, Target(rule.scope, value=value), Cause("", why), n_now)[1]
    if n:
        kick()
    return n


def _above(scope: str, floor: int, since: datetime) -> dict[str, int]:
    rows = SenderMinute.objects.filter(at__gt=since, key__startswith=f"{scope}:").values("key")
    sums = rows.annotate(sum=Sum("n")).filter(sum__gte=floor).order_by("-sum")
    return dict(sums.values_list("key", "sum")[:_MOST])


def _is_left_alone(key: str, now: datetime) -> bool:
    """Stopped already, or let go by a person."""
    last = Effect.objects.filter(action=RuleAction.STOP_SENDER, key=key).order_by("-id").first()
    if last is None:
        return False
    return last.is_open(now) or (last.lifted_at is not None and last.lifted_at > now - _LEFT_ALONE)


def _why(rule: Rule, key: str, n: int, now: datetime) -> str:
    """The reason in words; "" where it is no flood."""
    allowance = allowance_of(key)
    of_hour = 0
    if allowance is not None:
        of_hour = SenderMinute.objects.filter(key=key, at__gt=now - _HOUR).aggregate(sum=Sum("n"))["sum"] or 0
    return reason(rule, n, usual_of(key, rule.per, now), allowance, of_hour)


def reason(rule: Rule, n: int, usual: float, allowance: int | None, of_hour: int) -> str:
    """`n` came within the rule's time, `of_hour` in an hour. An allowance counts in place of the usual."""
    if allowance is not None:
        if of_hour <= allowance:
            return ""
        return f"{of_hour:,} deliveries within an hour; its allowance is {allowance:,}"
    if n <= usual * rule.factor:
        return ""
    span = "a minute" if rule.per <= _MINUTE else f"{rule.per.total_seconds() / 60:,.0f} minutes"
    told = f"at most {usual:,.0f} is usual for it" if usual >= 1 else "nothing near is usual for it"
    return f"{n:,} deliveries within {span}; {told}"


def allowance_of(key: str) -> int | None:
    scope, _, name = key.partition(":")
    if scope != RuleScope.LOGIN:
        return None
    for model in (SmtpLogin, ApiKey):
        rows = model._default_manager.filter(name__iexact=name, allowance__isnull=False)
        found = rows.values_list("allowance", flat=True).first()
        if found is not None:
            return int(found)
    return None


def usual_of(key: str, per: timedelta, now: datetime) -> float:
    """What the sender hands in within such a time when it is busy, as far as is known."""
    row = SenderUsual.objects.filter(key=key).first()
    if row is None:
        return 0.0
    return usual_within(row.most_minute, row.most_hour, per) * fade(now - row.seen_at)


def usual_within(most_minute: float, most_hour: float, per: timedelta) -> float:
    return most_minute if per <= _MINUTE else min(most_hour, most_minute * (per / _MINUTE))


def fade(age: timedelta) -> float:
    """What is left of a usual that is so old."""
    return float(0.5 ** (max(age, timedelta(0)) / _HALF_LIFE))


def learn() -> int:
    """Take what came in an hour as usual, where it is more than was; returns for how many."""
    now = timezone.now()
    rules = ruleset.enabled(RuleCondition.FLOOD)
    if not rules:
        return 0
    # What is less, a rule would never ask for: its floor is higher.
    least = min(rule.n_hits / max(rule.factor, 1.0) * min(_MINUTE / rule.per, 1.0) for rule in rules)
    over = SenderMinute.objects.filter(at__gt=now - _HOUR - SETTLES, at__lte=now - SETTLES).values("key")
    busy = over.annotate(most=Max("n"), sum=Sum("n")).filter(most__gte=max(least, 1)).order_by("-sum")
    found = {key: (most, total) for key, most, total in busy.values_list("key", "most", "sum")[:_MOST]}
    stopped = _stopped(found, now)
    known = {row.key: row for row in SenderUsual.objects.filter(key__in=found)}
    rows = []
    for key, (most, total) in found.items():
        if key in stopped:
            continue
        row = known.get(key) or SenderUsual(key=key, seen_at=now)
        left = fade(now - row.seen_at)
        row.most_minute = max(row.most_minute * left, most)
        row.most_hour = max(row.most_hour * left, total)
        row.seen_at = now
        rows.append(row)
    SenderUsual.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["most_minute", "most_hour", "seen_at"],
    )
    return len(rows)


def _stopped(keys: Iterable[str], now: datetime) -> set[str]:
    """Who was stopped in that time, and not let go by a person."""
    rows = Effect.objects.filter(action=RuleAction.STOP_SENDER, key__in=keys, lifted_at__isnull=True)
    rows = rows.exclude(ended_at__lt=now - 2 * _HOUR)
    return set(rows.values_list("key", flat=True))
