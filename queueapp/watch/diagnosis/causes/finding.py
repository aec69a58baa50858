"""What a rule found in one scope."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from queueapp.watch.diagnosis.facts import Seen

Scope = tuple[str, str]
"""(kind, key) as rows of Diagnosis have them."""
ALL: Scope = ("all", "")


@dataclass(slots=True)
class Finding:
    """`of`: what is open in the scope. `lines`: facts of the proof, (what, how it is)."""

    scope: Scope
    cause: str
    n: int = 0
    n_failed: int = 0
    of: int = 0
    name: str = ""
    since: datetime | None = None
    is_estimate: bool = False
    lines: list[tuple[str, str]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    rows: list[Seen] = field(default_factory=list)
    """Sampled deliveries that have it: the proof."""

    def note_since(self, at: datetime | None) -> None:
        if at is not None and (self.since is None or at < self.since):
            self.since = at
