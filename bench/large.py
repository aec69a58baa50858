"""A large queue in a running system, for benchmarks that need one: filled anew, or kept from an earlier run.

To fill a million rows takes minutes. With BENCH_KEEP=FOLDER what was filled stays below that folder, by
system and size, and the next run goes on with it: with what runs did to it since, and with the times of
when it was filled, so for a day at most. Without it nothing is kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.scratch import scratch

_FILLED = "filled"


@contextmanager
def large(contender: Any, sink: tuple[str, int], rows: int, domains: int) -> Iterator[Any]:
    """A system of ours that runs and delivers, with `rows` deliveries over `domains` domains in it."""
    with scratch() as folder, contender(folder, sink) as system:
        kept = place_of(contender.label, rows, domains)
        system.keeps_in = kept
        system.start(delivering=True)
        if kept is None or not (kept / _FILLED).exists():
            system.fill(str(rows), str(domains), module="bench.fill_pages")
            if kept is not None:
                (kept / _FILLED).touch()
        yield system


def place_of(label: str, rows: int, domains: int) -> Path | None:
    """Where the database of a system with so many rows is kept; None: it is not."""
    wanted = os.environ.get("BENCH_KEEP", "")
    if not wanted:
        return None
    place = Path(wanted).resolve() / f"{label.rpartition(' ')[2]}-{rows}-{domains}"
    place.mkdir(parents=True, exist_ok=True)
    return place
