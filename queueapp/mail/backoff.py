"""When to try again: the retry schedule. Pure arithmetic; the caller stores the time it gives."""

from __future__ import annotations

import random
from collections.abc import Callable


def retry_in(
    n_attempts: int,
    *,
    first: float,
    cap: float,
    jitter: float = 0.1,
    rand: Callable[[], float] = random.random,
) -> float:
    """Seconds to wait after the `n_attempts`-th failed attempt (1 is the first).

    `first`, then doubling up to `cap`, each spread by ± `jitter` (a share, 0.1 = 10 %) so that
    mails that failed together do not come back together. `rand` gives a number in [0, 1).
    """
    if first <= 0 or cap <= 0 or not 0 <= jitter < 1:
        raise ValueError(f"retry_in: first={first}, cap={cap} must be above 0 and jitter={jitter} in [0, 1)")
    # 2 ** 62 seconds is past any cap; the bound keeps the power a small integer.
    doublings: float = 2.0 ** min(max(n_attempts, 1) - 1, 62)
    return min(first * doublings, cap) * (1 + jitter * (2 * rand() - 1))
