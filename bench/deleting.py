"""Half of a large queue is deleted and taken back while mail flows: what everybody else notices of it.

The clicks, the pages and the socket are bench/delete_live.py's, in a process of its own. Here mails are
sent one by one to see how long it takes to be accepted and delivered, the sink is counted each second, and
the memory of the worker that does it is looked at.
"""

from __future__ import annotations

import json
import smtplib
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.bench_latency import Background
from bench.bench_pages import percentile
from bench.large import large
from bench.mails import SENDER, Mails
from bench.rounds import Sample
from bench.sink import SlowSink
from bench.systems.base import Failed
from bench.usage import Meter, tree

RATE = 20  # mails a second, all the time
Q = "state:queued state:deferred age>2h"
_PROBE_EVERY = 0.5


@dataclass
class Seen:
    """By the monotonic clock: mails at the sink, MB of the worker, and (accepted, delivered) in seconds."""

    sink: list[tuple[float, int]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    probes: list[tuple[float, float, float]] = field(default_factory=list)


def delete_live(contender: Any, rows: int, domains: int, told: list[str]) -> Sample:
    """Appends lines for people to `told`."""
    with SlowSink("--watch", "probe-") as sink, large(contender, sink.address, rows, domains) as system:
        seen, stop = Seen(), threading.Event()
        with Meter(system.roots) as meter, Background(system.smtp_address, RATE):
            time.sleep(3)
            beside = [
                threading.Thread(target=_each_second, args=(stop, lambda: _count(system, sink, seen))),
                threading.Thread(target=_probe, args=(system.smtp_address, sink, seen, stop)),
            ]
            for each in beside:
                each.start()
            try:
                said = system.fill(system.http, Q, str(rows), module="bench.delete_live")
            finally:
                stop.set()
                for each in beside:
                    each.join()
        lines = [json.loads(line) for line in said.splitlines()]
        return _sample(contender.label, lines, seen, meter, told)


def _each_second(stop: threading.Event, look: Callable[[], None]) -> None:
    while not stop.wait(1.0):
        look()


def _count(system: Any, sink: SlowSink, seen: Seen) -> None:
    now = time.monotonic()
    seen.sink.append((now, sink.count))
    parts = json.loads((Path(system.system.home) / "parts.json").read_text())["parts"]
    root = next((int(part["pid"]) for part in parts if part["name"] == "operator" and part["pid"]), 0)
    seen.memory.append((now, max((_resident(pid) for pid in tree([root])), default=0.0) if root else 0.0))


def _resident(pid: int) -> float:
    """MB now."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) * 1024 / 1e6
    return 0.0


def _probe(address: tuple[str, int], sink: SlowSink, seen: Seen, stop: threading.Event) -> None:
    mails, number = Mails(1_000_000, 1_000_000, prefix="probe"), 0
    while not stop.wait(_PROBE_EVERY):
        number += 1
        recipient = f"probe-{number}@probe{number % 50}.bench.test"
        began = time.monotonic()
        with smtplib.SMTP(*address, timeout=120) as client:
            client.sendmail(SENDER, [recipient], mails.content(number))
            accepted = time.monotonic()
        seen.probes.append((began, accepted - began, sink.wait_for_recipient(recipient, 120) - began))


def _sample(label: str, lines: list[dict[str, Any]], seen: Seen, meter: Meter, told: list[str]) -> Sample:
    starts = [line for line in lines if line["what"] == "started"]
    ends = [line for line in lines if line["what"] == "ended"]
    undone = next(line for line in lines if line["what"] == "undone")
    quiet = [line["at"] for line in lines if line["what"] == "quiet"][0]
    spans = {"before": (quiet, starts[0]["at"])}
    for name, start, end in zip(("delete", "undo"), starts, ends, strict=True):
        spans[name] = (start["at"], end["at"])
    dialog = next(line for line in lines if line["what"] == "dialog")
    told.append(f"{label}: the dialog came after {dialog['seconds'] * 1000:.0f} ms")
    more: dict[str, float] = {"dialog_s": dialog["seconds"]}
    for name, (start, end) in spans.items():
        found = _of_span(lines, seen, start, end)
        if name != "before":
            at = ("delete", "undo").index(name)
            found = {"answered_s": starts[at]["seconds"], "rows": ends[at]["done"], "took_s": end - start,
                     "gap_s": _longest_gap(lines, starts[at]["operation"], start, end), **found}  # fmt: skip
        told.append(f"{label} {name}: " + ", ".join(f"{key} {_shown(each)}" for key, each in found.items()))
        more |= {f"{name}_{key}": each for key, each in found.items()}
    for name, start, end in (("delete", *spans["delete"]), ("undo", *spans["undo"])):
        told.append(f"{label} {name}, MB each 5 s: {_each_five(seen.memory, start, end)}")
        told.append(f"{label} {name}, mails at the sink each second: {_deliveries(seen.sink, start, end)}")
    told.append(f"{label}: after undo all is as before: {'yes' if undone['is_same'] else 'NO'}")
    for end in ends:
        counts = ", ".join(f"{key} {end[key]:,}" for key in ("matched", "done", "skipped", "failed"))
        told.append(f"{label} operation {end['operation']}: {end['state']}, {counts}")
    if not undone["is_same"] or ends[0]["done"] != ends[1]["done"]:
        raise Failed(f"not all came back: {undone}")
    n, seconds = ends[0]["done"], spans["delete"][1] - spans["delete"][0]
    sample = Sample(rate=n / seconds, n=n, seconds=seconds, more=more)
    sample.largest_mb, sample.largest_name = meter.largest_mb, meter.largest_name
    return sample


def _of_span(lines: list[dict[str, Any]], seen: Seen, start: float, end: float) -> dict[str, float]:
    pages = [line["ms"] for line in lines if line["what"] == "page" and start <= line["at"] <= end]
    probes = [each for each in seen.probes if start <= each[0] <= end]
    counts = [n for at, n in seen.sink if start <= at <= end]
    memory = [mb for at, mb in seen.memory if start <= at <= end and mb]
    found = {"pages": float(len(pages))}
    if pages:
        found |= {"page_ms": statistics.median(pages), "page_p95_ms": percentile(pages),
                  "page_worst_ms": max(pages)}  # fmt: skip
    for name, place in (("accept", 1), ("deliver", 2)):
        took = [each[place] * 1000 for each in probes]
        if took:
            found |= {f"{name}_ms": statistics.median(took), f"{name}_p95_ms": percentile(took),
                      f"{name}_worst_ms": max(took)}  # fmt: skip
    if len(counts) > 1:
        found["delivered_per_s"] = (counts[-1] - counts[0]) / (len(counts) - 1)
    if memory:
        found |= {"worker_mb_least": min(memory), "worker_mb_most": max(memory)}
    return found


def _longest_gap(lines: list[dict[str, Any]], operation: int, start: float, end: float) -> float:
    """Seconds without progress, as an open page saw it."""
    moved, last, at = [], -1, start
    for line in lines:
        is_it = line["what"] == "seen" and line["operation"] == operation and start <= line["at"] <= end
        if is_it and line["done"] > last:
            moved.append(line["at"] - at)
            last, at = line["done"], line["at"]
    return max([*moved, end - at])


def _each_five(memory: list[tuple[float, float]], start: float, end: float) -> str:
    return " ".join(f"{mb:.0f}" for at, mb in memory[::5] if start <= at <= end)


def _deliveries(sink: list[tuple[float, int]], start: float, end: float) -> str:
    inside = [n for at, n in sink if start <= at <= end]
    return " ".join(str(b - a) for a, b in zip(inside, inside[1:], strict=False))


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
