"""Whether more than so many deliveries match a search: counted up to there, in a time of its own.

For who asks again and again, such as an alert rule. One statement, by the index that the search names, ends
when one more than asked for is found or when the time is up. Promises: a number is exact or it is none; a
million deliveries cost no more than the time given. Where the counters of the domains know, no row is read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from queueapp.grammar import Query
from queueapp.models.budget import OutOfTime, at_most
from queueapp.models.counting import count_of, is_counted
from queueapp.models.delivery import Delivery
from queueapp.models.matching import index_words
from queueapp.models.searching import Search


@dataclass(frozen=True, slots=True)
class Tally:
    """`n` is exact, but where `is_cut`: then there are more than it. None: not known in time."""

    n: int | None
    is_cut: bool = False

    def is_above(self, limit: float) -> bool | None:
        """None: nobody knows."""
        return None if self.n is None else self.is_cut or self.n > limit


def tally(query: Query, limit: float, now: datetime, seconds: float) -> Tally:
    """Raises GrammarError where the search can't be answered at all."""
    until, most = time.monotonic() + seconds, int(limit)
    try:
        with at_most(seconds):
            search = Search(query, now)
            if is_counted(query):
                return Tally(count_of(search, None, None).n)
            if search.small is not None:
                return _up_to(search.rows, most)
        with at_most(until - time.monotonic()):
            return _up_to(search.rows.filter(index_words(query)), most)
    except OutOfTime:
        return Tally(None)


def _up_to(rows: QuerySet[Delivery], most: int) -> Tally:
    n = rows.values("id")[: most + 1].count()
    return Tally(min(n, most), is_cut=n > most)
