"""What was refused, in the audit: a row each, and few rows where somebody tries on and on.

Promises: the first MOST refusals of an actor in a minute are written, each with what was asked; what comes
above that is counted, and the count is in the actor's next row. So neither a broken script nor a
stranger can fill the disk through the audit. The memory is this process's own, and bounded.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from queueapp.models import AuditEvent

MOST = 120
WINDOW = 60.0
_MOST_ACTORS = 1000

_lock = threading.Lock()
# actor and origin: when its minute began, refusals in it, those that were not written
_seen: dict[tuple[str, str], list[float]] = {}


def note(name: str, origin: str, action: str, target: str, detail: dict[str, Any]) -> None:
    """Write the row, or count it. Never inside a transaction that the refusal ends."""
    n_left_out = _admit((name, origin))
    if n_left_out is None:
        return
    if n_left_out:
        detail = {**detail, "more": n_left_out}
    AuditEvent.objects.create(
        actor=name[:150], origin=origin[:64], action=action[:64], target=printable(target)[:255],
        detail=detail, is_refused=True,
    )  # fmt: skip


def forget() -> None:
    """Begin anew, for tests."""
    with _lock:
        _seen.clear()


def printable(text: str) -> str:
    """PostgreSQL takes no NUL, and nobody reads control characters."""
    return "".join(char if char.isprintable() else "�" for char in text)


def _admit(who: tuple[str, str]) -> int | None:
    """How many were left out before this one; None where this one is."""
    now = time.monotonic()
    with _lock:
        if who not in _seen and len(_seen) >= _MOST_ACTORS:
            for each in [each for each, (began, *_) in _seen.items() if now - began > WINDOW]:
                del _seen[each]
            if len(_seen) >= _MOST_ACTORS:
                _seen.clear()
        began, n, n_left_out = _seen.get(who, [now, 0, 0])
        if now - began > WINDOW:
            began, n = now, 0
        if n >= MOST:
            _seen[who] = [began, n + 1, n_left_out + 1]
            return None
        _seen[who] = [began, n + 1, 0]
        return int(n_left_out)
