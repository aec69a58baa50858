"""A receiver that blocks whom it is told to, by peer address, and notes who asked when."""

from __future__ import annotations

import time
from collections import Counter

from tests.counting_sink import CountingSink

TEXT = "Service unavailable; Client host [{peer}] blocked using zen.spamhaus.org"


class BlockingSink(CountingSink):
    """At RCPT. `refused`: when, by whom; `taken`: likewise."""

    def __init__(self, host: str) -> None:
        self.blocked: dict[str, str] = {}
        """By peer: the code that it is refused with."""
        self.refused: list[tuple[float, str]] = []
        self.taken: list[tuple[float, str]] = []
        super().__init__(answer=self._answer, host=host)

    def _answer(self, verb: str, line: str) -> str | None:
        if verb != "RCPT":
            return None
        peer = line.split(" ", 1)[0]
        if peer in self.blocked:
            self.refused.append((time.monotonic(), peer))
            return f"{self.blocked[peer]} {TEXT.format(peer=peer)}"
        self.taken.append((time.monotonic(), peer))
        return None

    def since(self, at: float) -> Counter[str]:
        """Mails that were taken since then, by peer."""
        return Counter(peer for when, peer in self.taken if when >= at)

    def per_second(self, since: float, n: int) -> list[int]:
        """Mails that were taken in each of `n` seconds."""
        counts = Counter(int(when - since) for when, _ in self.taken if when >= since)
        return [counts[second] for second in range(n)]
