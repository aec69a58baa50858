"""About how many deliveries a search selects, where counting them all would take too long: from a sample.

Ids are drawn at random over the whole queue; the share of those that match is taken of all deliveries, whose
number the counters of the domains know. Promises: ends in time; says nothing where the sample holds too few
that match for the number to be good (docs/decisions/0041). Never: stands where a person confirms a number.
"""

from __future__ import annotations

import random

from django.db.models import Max, Min

from queueapp.models.budget import OutOfTime, at_most
from queueapp.models.delivery import Delivery
from queueapp.models.domain import RecipientDomain
from queueapp.models.searching import Search

SAMPLE = 4000
# A search of which the count found fewer has most likely too few in the sample, too.
WORTH = 1000
# Of so many that match the standard error is at most a seventh of the number.
FEWEST = 50
TIME = 0.05  # seconds, for the look at the sample


def estimate(
    search: Search,
    at_least: int,
    chance: random.Random | None = None,
    n: int = SAMPLE,
    seconds: float = TIME,
) -> int | None:
    """A number of two figures and noughts, above `at_least`; None: it can't be told well enough."""
    if at_least < WORTH:
        return None
    span = Delivery.objects.aggregate(least=Min("id"), most=Max("id"))
    if span["least"] is None or span["most"] - span["least"] < n:
        return None
    ids = (chance or random.Random()).sample(range(span["least"], span["most"] + 1), n)
    drawn = Delivery.objects.filter(id__in=ids).order_by()
    try:
        with at_most(seconds):
            n_matching = drawn.filter(search.condition).count()
            n_drawn = drawn.count() if n_matching >= FEWEST else 0
    except OutOfTime:
        return None
    if not n_drawn:
        return None
    total = sum(RecipientDomain.objects.depth().values())
    found = rounded(total * n_matching / n_drawn)
    return found if found > at_least else None


def rounded(number: float) -> int:
    """To two figures: 1,234,567 is 1,200,000."""
    size = 10 ** max(len(str(int(number))) - 2, 0)
    return round(number / size) * size
