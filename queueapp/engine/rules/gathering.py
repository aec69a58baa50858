"""What waits of a sender or campaign that was stopped is held, a slice of the queue at a time.

The deliveries are looked through by their ids from the newest down, so that no index by login is needed and
a slice costs the same at any size of the queue. Promises: a slice is read without a lock and held in short
transactions with pauses between, so everybody else's mail goes on, also where there is one writer; killed,
it goes on where it was. Mail that was just being sent is found by a second look.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone

from queueapp import conf
from queueapp.engine.actions import act
from queueapp.engine.locked import Asked
from queueapp.models import HOLDS, WAITING, Delivery, Effect, RuleScope
from queueapp.models.lookups import has_one

SLICE = 1000
PORTION = 200
"""Deliveries that one transaction holds."""
PAUSE = 0.02
"""Seconds between two of them: SQLite gives its lock to whoever asks next, and others ask every few
milliseconds at best."""
AT_MOST = 0.5
"""Seconds for a call."""
_AGAIN_FOR = timedelta(seconds=60)
"""So long after its beginning what waits is looked through again, for what was being sent."""
_RECENT = timedelta(minutes=10)


def gather() -> int:
    """Go on for a while; returns how many deliveries were held."""
    end, total = time.monotonic() + AT_MOST, 0
    is_more = True
    while is_more and time.monotonic() < end:
        is_more = False
        for effect in Effect.objects.filter(below__isnull=False, ended_at__isnull=True, action__in=HOLDS):
            total += _slice(effect)
            is_more = True
    return total


def _slice(effect: Effect) -> int:
    assert effect.below is not None
    low = max(effect.below - SLICE, 0)
    some = Delivery.objects.filter(pk__gte=low, pk__lt=effect.below)
    ids = list(some.filter(_whose(effect), state__in=WAITING).order_by("pk").values_list("pk", flat=True))
    total = 0
    for start in range(0, len(ids), PORTION):
        n = _portion(effect, ids[start : start + PORTION])
        if n is None:
            return total
        total += n
        time.sleep(PAUSE)
    Effect.objects.filter(pk=effect.pk, ended_at__isnull=True).update(below=low)
    if low == 0 or _is_older(effect, low):
        _end_pass(effect)
    return total


def _portion(effect: Effect, ids: list[int]) -> int | None:
    """How many are held now; None: somebody has lifted it meanwhile."""
    with transaction.atomic():
        # The effect's row is the lock: who lifts it waits, or is seen here.
        row = Effect.objects.select_for_update().filter(pk=effect.pk, ended_at__isnull=True).first()
        if row is None:
            return None
        n = act("hold", ids, Asked(None, timezone.now(), _reason(effect))).n
        Effect.objects.filter(pk=effect.pk).update(n_held=F("n_held") + n)
    return n


def _whose(effect: Effect) -> Q:
    if effect.scope == RuleScope.LOGIN:
        return Q(message__login__iexact=effect.value)
    if effect.scope == RuleScope.SENDER:
        return Q(message__sender__iexact=effect.value)
    return has_one("message__tags", (effect.value,))


def _reason(effect: Effect) -> str:
    return f"{effect.rule_name}: {effect.reply}"[:255]


def _is_older(effect: Effect, low: int) -> bool:
    """Whether what is below can't be meant: too old to wait, or, at a second look, to have been sent."""
    depth = _RECENT if effect.n_passes else conf.current().max_age
    newest = Delivery.objects.filter(pk__lt=low).order_by("-pk").values_list("accepted_at", flat=True).first()
    return newest is None or newest < effect.since - depth


def _end_pass(effect: Effect) -> None:
    rows = Effect.objects.filter(pk=effect.pk)
    if timezone.now() > effect.since + _AGAIN_FOR:
        rows.update(below=None)
        return
    newest = Delivery.objects.aggregate(most=Max("pk"))["most"] or 0
    rows.filter(ended_at__isnull=True).update(below=newest + 1, n_passes=F("n_passes") + 1)
