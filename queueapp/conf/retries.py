"""How often and how long mail is tried, and when it is forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from queueapp.conf.setting import setting
from queueapp.conf.texts import duration


@dataclass(frozen=True)
class Retries:
    retry_first: timedelta = setting(
        "MAILWEIR_RETRY_FIRST", duration, "5m", "time", "Wait after the first failed attempt; doubles."
    )
    retry_cap: timedelta = setting(
        "MAILWEIR_RETRY_CAP", duration, "4h", "time", "The longest wait between attempts."
    )
    max_age: timedelta = setting(
        "MAILWEIR_MAX_AGE", duration, "5d", "time", "A delivery older than this expires and is reported."
    )
    delay_warning: timedelta = setting(
        "MAILWEIR_DELAY_WARNING", duration, "4h", "time", "When the sender is told that a mail is late."
    )
    retention: timedelta = setting(
        "MAILWEIR_RETENTION", duration, "7d", "time", "How long finished deliveries are kept before `prune`."
    )
