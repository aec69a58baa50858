"""How long deliveries took, kept as counts in buckets: two buckets an octave from a tenth of a second to
weeks, so a percentile is right to within a fifth, and sums of spreads are spreads. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil, log2

_FIRST = 0.1
LAST = 48

Spread = dict[str, int]
"""{bucket: how many}; keys are text, as JSON wants them."""


def end_of(bucket: int) -> float:
    """Seconds that the bucket reaches to; LAST has no end."""
    return float(_FIRST * 2 ** (bucket / 2))


def bucket_of(seconds: float) -> str:
    if seconds <= _FIRST:
        return "0"
    return str(min(LAST, ceil(2 * log2(seconds / _FIRST))))


def together(spreads: Iterable[Mapping[str, int]]) -> Spread:
    total: Spread = {}
    for each in spreads:
        for bucket, n in each.items():
            total[bucket] = total.get(bucket, 0) + n
    return total


def percentile(spread: Mapping[str, int], share: float) -> float | None:
    """Seconds within which that share was delivered; None where nothing was."""
    wanted = share * sum(spread.values())
    if not wanted:
        return None
    n = 0
    for bucket in sorted(spread, key=int):
        here = spread[bucket]
        if n + here >= wanted:
            high = end_of(int(bucket))
            low = high / 2**0.5 if int(bucket) else 0.0
            return round(low + (high - low) * (wanted - n) / here, 3)
        n += here
    raise AssertionError("the last bucket always reaches it")
