"""Who is told what: groups begin, are told once, reminded of, and end; each by rows of Notice.

Promises: a group is told by one mail to each recipient, a short while after its first alert, so that what
follows at once is in it. When it becomes worse, or many more join, one mail of the thread says so; what eases
or grows a little waits for the reminder. Who was told that it
began is told that it is over. Everything is written in the round's own transaction; queueapp/watch/notify
sends it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from queueapp.models import Alert, AlertGroup, AlertState, NoticeKind
from queueapp.watch.alerts import grouping
from queueapp.watch.notify import compose

GATHER = timedelta(seconds=20)
"""A group is told so long after its first alert."""
GROWN_BY, GROWN_EVERY = 10, timedelta(minutes=30)
"""Twice as many, and so many more at least, are told of, so often at most."""


def tell(now: datetime) -> int:
    """Returns how many groups began, were told of, or ended."""
    _assign(now)
    n = 0
    members: dict[int, list[Alert]] = defaultdict(list)
    groups = {group.pk: group for group in AlertGroup.objects.filter(resolved_at__isnull=True)}
    fired = Alert.objects.filter(group_id__in=groups, fired_at__isnull=False).select_related("rule")
    for alert in fired.order_by("fired_at", "pk"):
        members[alert.group_id or 0].append(alert)
    for pk, group in groups.items():
        n += _one(group, members[pk], now)
    return n


def _assign(now: datetime) -> None:
    """Alerts that have fired and have no group yet."""
    loose = list(Alert.objects.live().filter(fired_at__isnull=False, group__isnull=True).order_by("fired_at"))
    if not loose:
        return
    groups = {group.key: group for group in AlertGroup.objects.filter(resolved_at__isnull=True)}
    for alert in loose:
        key = grouping.key_of(alert)
        if key not in groups:
            groups[key] = AlertGroup.objects.create(
                key=key, title=alert.title, severity=alert.severity, since=now
            )
        alert.group = groups[key]
    Alert.objects.bulk_update(loose, ["group"], batch_size=200)
    for alert in loose:
        owner = str(alert.detail.get("owner", ""))
        if owner and not alert.muted_by:
            compose.to_owner(alert, owner, now)


def _one(group: AlertGroup, alerts: Sequence[Alert], now: datetime) -> int:
    open_ = [each for each in alerts if each.state != AlertState.RESOLVED]
    if not open_:
        return _end(group, alerts, now)
    loud = [each for each in open_ if not each.muted_by]
    group.title, group.severity = grouping.title_of(open_)[:300], grouping.worst(open_)
    group.n_most = max(group.n_most, len(open_))
    kind = _due(group, loud, now)
    if kind:
        group.n_told += 1
        group.told_again_at = now
        if group.told_at is None:
            group.told_at, group.thread = now, compose.new_thread()
        group.told_severity, group.n_known = grouping.worst(loud), len(loud)
        compose.to_all(kind, group, loud, now)
    group.save()
    return int(bool(kind))


def _due(group: AlertGroup, loud: Sequence[Alert], now: datetime) -> NoticeKind | None:
    if not loud:
        return None
    if group.told_at is None:
        first = min(each.fired_at for each in loud if each.fired_at)
        if now - max(first, group.since) < GATHER and first <= now:
            return None
        return NoticeKind.FLAPPING if all(each.is_flapping for each in loud) else NoticeKind.FIRING
    told_at = group.told_again_at or group.told_at
    # A group that was told before this was kept is known as it is.
    if group.told_severity and grouping.is_worse(grouping.worst(loud), group.told_severity):
        return NoticeKind.WORSE if now - told_at >= GATHER else None
    if group.n_known and len(loud) >= max(2 * group.n_known, group.n_known + GROWN_BY):
        return NoticeKind.GROWN if now - told_at >= GROWN_EVERY else None
    waits = [
        each.rule.remind_every
        for each in loud
        if each.state == AlertState.FIRING and not each.is_flapping and each.rule and each.rule.remind_every
    ]
    if waits and now - told_at >= min(waits):
        return NoticeKind.REMINDER
    return None


def _end(group: AlertGroup, alerts: Sequence[Alert], now: datetime) -> int:
    group.resolved_at = now
    if group.told_at is not None:
        # Where quiet hours or a silence began meanwhile: who was told of the trouble hears of its end.
        compose.to_all(NoticeKind.RESOLVED, group, alerts, now)
        group.n_told += 1
        group.told_again_at = now
    group.save()
    return 1
