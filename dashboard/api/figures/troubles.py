"""What is wrong now: alerts, listings, effects of rules."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric


def collect() -> Iterator[Metric]:
    yield from ()
