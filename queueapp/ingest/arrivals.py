"""Who hands in how much: counted where mail is accepted, for the look for floods (engine/rules/flood.py).

Counted in this process's memory, and written once a second with a commit that is on its way anyway: no
round trip more, and several processes and machines add up in the database. Failure: what can't be written is
written with the next; what a process that ends has counted in its last second is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import datetime

from django.utils import timezone

from queueapp.engine.enqueue import NewMessage
from queueapp.models import BackoffRule, RuleCondition, RuleScope
from queueapp.models.bulk import ManyRows

EVERY = 1.0
_MOST = 5000
"""Senders in a second; others wait for the next."""
_ASK_EVERY = 30.0
_ADD = ManyRows(
    "key:text at:timestamptz n:integer",
    postgresql="""
        INSERT INTO queueapp_senderminute (key, at, n) SELECT key, at, n FROM {rows}
        ON CONFLICT (key, at) DO UPDATE SET n = queueapp_senderminute.n + excluded.n""",
    sqlite="""
        INSERT INTO queueapp_senderminute (key, at, n) VALUES (?1, ?2, ?3)
        ON CONFLICT (key, at) DO UPDATE SET n = n + excluded.n""",
)
Rows = list[tuple[str, datetime, int]]


class Arrivals:
    """Of one process. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._next = 0.0
        self._counts_senders = False
        self._ask_at = 0.0

    def count(self, fresh: Iterable[NewMessage]) -> Rows:
        """Count them; what is to be written now, once a second."""
        now = time.monotonic()
        with self._lock:
            for each in fresh:
                key = self._key(each)
                if key and (key in self._counts or len(self._counts) < _MOST):
                    self._counts[key] = self._counts.get(key, 0) + len(each.deliveries)
            if now < self._next or not self._counts:
                return []
            self._next = now + EVERY
            counts, self._counts = self._counts, {}
        minute = timezone.now().replace(second=0, microsecond=0)
        # In one order everywhere: two that write the same keys wait, and never for each other.
        return [(key, minute, n) for key, n in sorted(counts.items()) if n]

    def undo(self, fresh: Iterable[NewMessage], rows: Rows) -> None:
        """These were not accepted, and what was to be written was not."""
        with self._lock:
            for key, _, n in rows:
                self._counts[key] = self._counts.get(key, 0) + n
            for each in fresh:
                key = self._key(each)
                if key in self._counts:
                    self._counts[key] = max(self._counts[key] - len(each.deliveries), 0)

    def look(self) -> None:
        """Ask now and then whether somebody wants to know of senders without a login. Outside of
        transactions. Raises DatabaseError."""
        if time.monotonic() < self._ask_at:
            return
        self._ask_at = time.monotonic() + _ASK_EVERY
        self._counts_senders = BackoffRule.objects.filter(
            condition=RuleCondition.FLOOD, scope=RuleScope.SENDER, is_enabled=True
        ).exists()

    def _key(self, each: NewMessage) -> str:
        if each.message.login:
            return f"{RuleScope.LOGIN}:{each.message.login.lower()}"
        if self._counts_senders and each.message.sender:
            return f"{RuleScope.SENDER}:{each.message.sender.lower()}"
        return ""


def write(rows: Rows) -> None:
    """In the caller's transaction, with its statements."""
    _ADD.run(rows)


arrivals = Arrivals()
