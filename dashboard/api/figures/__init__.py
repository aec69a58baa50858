"""All that `/metrics` tells, as one collector: docs/metrics.md names each figure with its labels.

Promises: a fixed number of queries, of which each ends at an index, at counters or at a limit; a number of
label values that traffic can't raise: states, classes and the like are ours, sites and sources are the first
TOP, the rest is one. Names and units are Prometheus' own conventions.
Failure: while the database is away there is an answer all the same, with `mailweir_database_up` 0 and what
needs no database; a figure that is missing is a gap, never a 0.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from django.db import InterfaceError, OperationalError
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from dashboard.api.figures import machine, queue, sites, sources, troubles
from dashboard.api.figures.families import gauge

log = logging.getLogger("mailweir.metrics")
_FROM_DATABASE = (queue.collect, sites.collect, sources.collect, machine.runners, troubles.collect)


class Figures(Collector):
    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        began = time.perf_counter()
        yield from machine.collect()
        found: list[Metric] = []
        try:
            # All or nothing, so that figures of one scrape belong together.
            for part in _FROM_DATABASE:
                found += part()
        except (OperationalError, InterfaceError) as error:
            log.warning("figures could not be read: %s", error)
            found = []
        yield from found
        yield gauge("database_up", "Whether the database answered this scrape.", int(bool(found)))
        took = time.perf_counter() - began
        yield gauge("scrape_duration_seconds", "How long it took to collect these figures.", took)
