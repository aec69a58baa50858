"""The count of a fault: what was accepted against what the sink got, and what the system lists."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

from bench.faults.load import recipient


@dataclass
class Finding:
    """What came of one fault. `allowed`: how many mails may have come twice."""

    name: str
    database: str
    seconds: float = 0.0
    rate: float = 0.0  # offered, mails a second
    accepted: int = 0
    received: int = 0
    lost: int = 0
    repeated: int = 0
    unlisted: int = 0  # came twice, and is not in the list of ambiguous deliveries
    ambiguous: int = 0
    allowed: int = 0
    refused: int = 0  # told to come again later
    sessions: int = 0  # the most that the sink had open at a time
    limit: int = 0  # of them
    again: float | None = None  # seconds from the end of the fault to a mail that was accepted after it
    caught_up: float | None = None  # seconds from there until all that was accepted before had come
    wrong: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        is_within = self.repeated <= self.allowed and self.sessions <= self.limit
        return is_within and not (self.lost or self.unlisted or self.wrong)


def count(
    finding: Finding,
    accepted: dict[int, float],
    received: Counter[int],
    first_at: dict[int, float],
    ambiguous: set[str],
    healed_at: float,
) -> None:
    """Fill in what can be counted. Times are of the monotonic clock."""
    finding.accepted = len(accepted)
    finding.received = received.total()
    finding.lost = len(accepted.keys() - received.keys())
    twice = {number for number, times in received.items() if times > 1}
    finding.repeated = sum(received[number] - 1 for number in twice)
    finding.ambiguous = len(ambiguous)
    finding.unlisted = len({recipient(number) for number in twice} - ambiguous)
    before = [first_at[n] for n, at in accepted.items() if at <= healed_at and n in first_at]
    after = [first_at[n] for n, at in accepted.items() if at > healed_at and n in first_at]
    finding.again = max(0.0, min(after) - healed_at) if after else None
    finding.caught_up = max(0.0, max(before) - healed_at) if before else None


class Api:
    """The system's own account of itself, through the API that scripts use."""

    def __init__(self, http: str, key: str) -> None:
        self.http, self.key = http, key

    def get(self, path: str) -> dict:  # type: ignore[type-arg]
        request = urllib.request.Request(self.http + path, headers={"Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.load(answer))

    def depth(self) -> dict[str, int]:
        """Deliveries by state."""
        return dict(self.get("/api/v1/summary")["depth"])

    def ambiguous(self) -> set[str]:
        """Recipients of deliveries that may have been sent twice."""
        found: set[str] = set()
        cursor = ""
        while True:
            page = self.get(f"/api/v1/deliveries?q=is:ambiguous&limit=500&cursor={cursor}")
            found |= {item["to"] for item in page["items"]}
            cursor = page["next"] or ""
            if not cursor:
                return found
