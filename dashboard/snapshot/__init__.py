"""What the overview shows, as one value: built from the database, drawn by the page, pushed by the socket.

Shared by `pages` (the first drawing), `realtime` (every one after it) and whoever asks next, so that
all of them tell the same. Promises: a fixed number of queries that all end at an index or at the
counters, so a build costs the same at a thousand deliveries and at a million. Texts in it are a
stranger's: whoever draws them escapes them. On a database that is away it raises Django's error.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dashboard.snapshot import alerts, effects, listings, operations, why
from dashboard.snapshot.attempts import latest
from dashboard.snapshot.domains import busiest, stuck
from dashboard.snapshot.drain import drain
from dashboard.snapshot.headline import headline
from dashboard.snapshot.hour import last_hour
from dashboard.snapshot.machines import parts, runners
from dashboard.snapshot.strip import strip
from queueapp import stats
from queueapp.models import OPEN, RecipientDomain

Snapshot = dict[str, Any]


def build(now: datetime | None = None) -> Snapshot:
    """CONTRACT.md, "WebSocket", less `seq`, which belongs to the one who sends."""
    now = now or datetime.now(UTC)
    depth, (worst, n_stuck) = stats.depth(), stuck(now)
    found: Snapshot = {
        "at": now,
        "depth": depth,
        "drain": drain(depth, now),
        "rates": stats.rates(now),
        "oldest_due_s": stats.oldest_due(now),
        "domains": busiest(now),
        "stuck": {"n": n_stuck, "worst": worst},
        "latest": latest(),
        "runners": runners(now),
        "parts": parts(),
        "hour": last_hour(now),
        "alerts": alerts.live(),
        "n_alerts": alerts.counts(),
        "effects": effects.live(now),
        "why": why.overview(now, is_empty=not any(depth[state] for state in OPEN)),
        "operations": operations.live(now),
        "listings": listings.live(now),
    }
    found["strip"] = strip(found)
    found["headline"] = headline(found, RecipientDomain.objects.claimable_for(now))
    return found
