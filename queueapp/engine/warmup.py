"""Warm-up of a new address: so many mails a day and site, more each day.

The day's count of a source and site is a row (models/egress.py, SourceDay). A runner takes from it in
blocks, before it sends, and gives back at its end what it did not use; one that is killed keeps its
block, so the cap is never passed. Days are those of UTC.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from queueapp.models import EgressSource, SourceDay

BLOCK = 20
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Block:
    day: date
    n: int
    is_last: bool


class Warmups:
    """For one runner. `came` is called with the site when a block has come."""

    def __init__(
        self, in_db: Callable[[Callable[[], Any]], Awaitable[Any]], came: Callable[[int], None]
    ) -> None:
        self._in_db, self._came = in_db, came
        self._blocks: dict[tuple[int, int], _Block] = {}
        self._asked: dict[tuple[int, int], None] = {}
        self._is_fetching = False

    def left(self, source_id: int, site_id: int) -> int:
        """Mails that may go now; where that is not known yet it is asked for, and none may."""
        block = self._blocks.get((source_id, site_id))
        if block and block.day == timezone.now().date() and (block.n or block.is_last):
            return block.n
        self._asked.setdefault((source_id, site_id))
        return 0

    def is_pending(self, source_id: int, site_id: int) -> bool:
        """Whether the answer is on its way."""
        return (source_id, site_id) in self._asked

    def use(self, source_id: int, site_id: int, n: int) -> None:
        self._blocks[source_id, site_id].n -= n

    async def fetch(self) -> None:
        """Get the blocks that were asked for, one after another."""
        if self._is_fetching:
            return
        self._is_fetching = True
        try:
            while self._asked:
                await self._fetch(*next(iter(self._asked)))
        except DatabaseError as error:
            log.warning("what a warm-up leaves is not known: %s", error)
        finally:
            self._is_fetching = False

    async def _fetch(self, source_id: int, site_id: int) -> None:
        day = timezone.now().date()
        n = await self._in_db(partial(reserve, source_id, site_id, day))
        self._blocks[source_id, site_id] = _Block(day, n, is_last=n < BLOCK)
        self._asked.pop((source_id, site_id), None)
        self._came(site_id)

    @property
    def has_asked(self) -> bool:
        return bool(self._asked)

    async def give_back(self) -> None:
        for (source_id, site_id), block in self._blocks.items():
            if block.n:
                try:
                    await self._in_db(partial(unreserve, source_id, site_id, block.day, block.n))
                except DatabaseError as error:
                    log.warning("%d mails of a warm-up stay unused: %s", block.n, error)
        self._blocks.clear()

    def forget(self) -> None:
        """Caps were changed: those that were used up may have room again."""
        self._blocks = {key: block for key, block in self._blocks.items() if block.n}


def reserve(source_id: int, site_id: int, day: date, most: int = BLOCK) -> int:
    """Take up to `most` mails of the day's cap; returns how many there were."""
    source = EgressSource.objects.filter(pk=source_id).first()
    cap = source.daily_cap(day) if source else 0
    if cap is None:
        return most
    with transaction.atomic():
        row, _ = SourceDay.objects.get_or_create(source_id=source_id, site_id=site_id, day=day)
        row = SourceDay.objects.select_for_update().get(pk=row.pk)
        n = max(0, min(most, cap - row.n))
        if n:
            SourceDay.objects.filter(pk=row.pk).update(n=F("n") + n)
    return n


def unreserve(source_id: int, site_id: int, day: date, n: int) -> None:
    SourceDay.objects.filter(source_id=source_id, site_id=site_id, day=day).update(n=Greatest(F("n") - n, 0))
