"""The task of the process `watch`: a bounded batch of checks every few seconds.

Promises: a batch ends within AT_MOST seconds; what was not asked by then is due again soon. Failure: a pair
that can't be asked is unknown and says why, without a key, and spoils no other; a process that dies costs
the claimed pairs LEASE. Off (MAILWEIR_BLOCKLISTS=no), it asks nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from queueapp import conf
from queueapp.models import BlocklistTest, Listing, ListingChange, ListingState
from queueapp.watch.blocklists import answer, due, news, senders, targets
from queueapp.watch.blocklists.answer import Reading
from queueapp.watch.blocklists.asking import Asker, Pair, Tested
from queueapp.watch.blocklists.lists import LISTS, chosen
from queueapp.watch.blocklists.names import hidden
from queueapp.watch.blocklists.settle import Turn, settle

BATCH = 20
AT_MOST = 5.0
ARRANGE_EVERY = 60.0
_CHECKED = (
    "state", "is_confirmed", "since", "confirmed_at", "doubted_at", "answered_at", "checked_at",
    "next_check_at", "asked_at", "codes", "meaning", "severity", "reason", "error", "told",
)  # fmt: skip
_arranged_at = 0.0
log = logging.getLogger(__name__)


def check() -> int:
    """One round: what is due, as far as the time goes; returns how many pairs were checked."""
    global _arranged_at
    if time.monotonic() - _arranged_at > ARRANGE_EVERY or not _arranged_at:
        arrange()
        _arranged_at = time.monotonic()
    n, end = 0, time.monotonic() + AT_MOST
    while (left := end - time.monotonic()) > 0 and (done := batch(timezone.now(), within=left)):
        n += done
    return n


def arrange() -> None:
    """Look what is ours now, and which lists are asked."""
    choice = chosen()
    if choice.lists:
        senders.look()
    due.arrange(targets.current().found.values() if choice.lists else (), choice.lists, timezone.now())


def batch(now: datetime, most: int = BATCH, within: float | None = None) -> int:
    """Check what is due, within so many seconds (AT_MOST); returns how many pairs were checked."""
    rows = [row for row in due.claim(now, most) if row.list_name in LISTS] if chosen().lists else []
    if not rows:
        return 0
    readings, fresh = asyncio.run(_ask(rows, _tests(), now, AT_MOST if within is None else within))
    turns = [
        (row, settle(row, reading, now))
        for row, reading in zip(rows, readings, strict=True)
        if reading is not None
    ]
    with transaction.atomic():
        _keep_tests(fresh)
        for row, turn in turns:
            _save(row, turn, now)
        due.give_back([row for row, reading in zip(rows, readings, strict=True) if reading is None], now)
        if turns:
            news.tell()
    return len(turns)


Tests = dict[tuple[str, str], Tested]


async def _ask(
    rows: Sequence[Listing], tests: Tests, now: datetime, within: float
) -> tuple[list[Reading | None], Tests]:
    asker = Asker(conf.current(), tests, now)
    asked = [asyncio.ensure_future(asker.ask(_pair(row))) for row in rows]
    await asyncio.wait(asked, timeout=within)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    return [_reading(task) for task in asked], asker.fresh


def _reading(task: asyncio.Future[Reading]) -> Reading | None:
    """None: not done in time."""
    if task.cancelled():
        return None
    if (error := task.exception()) is None:
        return task.result()
    why = hidden(f"it could not be asked: {type(error).__name__}: {error}", conf.current())
    log.error("A check of a blocklist failed: %s", why)
    return answer.unknown(why)


def _pair(row: Listing) -> Pair:
    holds = row.state == ListingState.LISTED and row.is_confirmed
    return Pair(LISTS[row.list_name], row.target, row.kind, holds)


def _tests() -> Tests:
    return {
        (row.list_name, row.kind): Tested(row.result, row.error, row.tested_at)
        for row in BlocklistTest.objects.all()
    }


def _keep_tests(fresh: dict[tuple[str, str], Tested]) -> None:
    rows = [
        BlocklistTest(
            list_name=name, kind=kind, result=each.result, error=each.error[:500], tested_at=each.at
        )
        for (name, kind), each in fresh.items()
    ]
    BlocklistTest.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["list_name", "kind"],
        update_fields=["result", "error", "tested_at"],
    )  # fmt: skip


def _save(row: Listing, turn: Turn | None, now: datetime) -> None:
    """What others write (named, current) is left alone."""
    Listing.objects.filter(pk=row.pk).update(**{name: getattr(row, name) for name in _CHECKED})
    if turn:
        ListingChange.objects.create(
            listing_id=row.pk, at=now, was=turn.was, state=turn.state, detail=turn.detail
        )
