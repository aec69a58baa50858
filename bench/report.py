"""What came of a benchmark: a table for people, JSON in bench/results/ for whatever compares runs."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.rounds import Outcome, Sample, first_and_last
from bench.systems.base import ROOT

RESULTS = Path(os.environ.get("BENCH_RESULTS", "") or ROOT / "bench" / "results")
OURS = "mailweir"
_DATABASES = ("sqlite", "postgres")
_HEAD = (
    "system",
    "median",
    "min",
    "max",
    "CPU s/1000",
    "largest MB",
    "runner MB",
    "sink busy",
    "lost",
    "again",
)


def medians(samples: list[Sample]) -> dict[str, Any]:
    """Over the runs that came through; `n_failed` says how many did not."""
    good = [sample for sample in samples if not sample.error]
    result: dict[str, Any] = {"n_runs": len(samples), "n_failed": len(samples) - len(good)}
    if good:
        rates = [sample.rate for sample in good]
        result |= {"rate": statistics.median(rates), "min": min(rates), "max": max(rates)}
        for name in ("cpu_per_1000", "sink_busy", "seconds"):
            result[name] = _middle(getattr(sample, name) for sample in good)
        for name in ("largest_mb", "runner_mb", "lost", "repeated"):
            result[name] = _most(getattr(sample, name) for sample in good)
        for name in sorted({name for sample in good for name in sample.more}):
            result[name] = _middle(sample.more.get(name) for sample in good)
    return result


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def ratios(outcome: Outcome) -> list[tuple[str, str, float]]:
    """(ours, the peer, ours divided by the peer's) of the medians; a peer with a database by its own kind."""
    rates = {label: medians(samples).get("rate") for label, samples in outcome.samples.items()}
    return [
        (ours, peer, mine / theirs)
        for ours, mine in rates.items()
        for peer, theirs in rates.items()
        if ours.startswith(OURS) and not peer.startswith(OURS) and mine and theirs and _comparable(ours, peer)
    ]


def _comparable(ours: str, peer: str) -> bool:
    return peer.rpartition(" ")[2] not in _DATABASES or peer.rpartition(" ")[2] == ours.rpartition(" ")[2]


def table(outcome: Outcome) -> list[str]:
    rows = [list(_HEAD)]
    for label, samples in outcome.samples.items():
        found = medians(samples)
        if "rate" not in found:
            rows.append([label, "failed", *[""] * (len(_HEAD) - 2)])
            continue
        busy = found["sink_busy"]
        rows.append(
            [
                label,
                *(
                    f"{found[name]:,.1f}" if found[name] < 100 else f"{found[name]:,.0f}"
                    for name in ("rate", "min", "max")
                ),
                _shown(found["cpu_per_1000"], "{:.2f}"),
                _shown(found["largest_mb"], "{:.0f}"),
                _shown(found["runner_mb"] or None, "{:.0f}"),
                _shown(busy, "{:.0%}"),
                _shown(found["lost"], "{:.0f}"),
                _shown(found["repeated"], "{:.0f}"),
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [_aligned(row, widths) for row in rows]
    return lines + _more(outcome)


def _aligned(row: list[str], widths: list[int]) -> str:
    cells = [row[0].ljust(widths[0])] + [
        cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)
    ]
    return "   " + "  ".join(cells).rstrip()


def _more(outcome: Outcome) -> list[str]:
    lines = []
    for label, samples in outcome.samples.items():
        names = sorted({name for sample in samples for name in sample.more})
        found = medians(samples)
        told = [
            f"{name.replace('_', ' ')} {found[name]:,.2f}" for name in names if found.get(name) is not None
        ]
        if told:
            lines.append(f"   {label}: " + ", ".join(told))
    for ours, peer, ratio in ratios(outcome):
        lines.append(f"   {ours} / {peer}: {ratio:.2f}")
    for label, samples in outcome.samples.items():
        lines += [f"   FAILED {label}: {first_and_last(sample.error)}" for sample in samples if sample.error]
        busy = medians(samples).get("sink_busy")
        if busy and busy > 0.9:
            lines.append(
                f"   {label}: the sink was busy for {busy:.0%} of the time; it may be what was measured"
            )
    return lines


def proportions(outcomes: list[Outcome]) -> list[str]:
    """How the time of one thing changes from the first case to each later one; 1 is in proportion."""
    lines = []
    for later in outcomes[1:]:
        for label, samples in later.samples.items():
            rate, first = (
                medians(samples).get("rate"),
                medians(outcomes[0].samples.get(label, [])).get("rate"),
            )
            if rate and first:
                names = f"{outcomes[0].case.name} to {later.case.name}"
                lines.append(f"{label}: time for each, from {names}: × {first / rate:.2f}")
    return lines


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def write(name: str, outcomes: list[Outcome], options: dict[str, Any]) -> Path:
    """One file a benchmark and start; returns where."""
    content = {
        "benchmark": name,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "options": options,
        "cases": [
            {
                "case": outcome.case.name,
                "title": outcome.case.title,
                "unit": outcome.case.unit,
                "systems": {
                    label: {"medians": medians(samples), "runs": [sample.shown() for sample in samples]}
                    for label, samples in outcome.samples.items()
                },
                "ratios": [
                    {"ours": ours, "peer": peer, "ratio": round(ratio, 3)}
                    for ours, peer, ratio in ratios(outcome)
                ],
            }
            for outcome in outcomes
        ],
    }
    return _kept(name, content)


def write_plays(name: str, results: Sequence[Any], **more: Any) -> str:
    """What was played, rows of a dataclass, where the results of benchmarks go; returns where, for people."""
    path = _kept(name, {**more, name: [asdict(each) for each in results]})
    return os.path.relpath(path)


def _kept(name: str, content: dict[str, Any]) -> Path:
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}.json"
    path.write_text(json.dumps({"commit": commit(), "machine": machine(), **content}, indent=1) + "\n")
    return path


def commit() -> str:
    """What was measured; "+" where the work tree differs from it; "" outside a clone."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def machine() -> dict[str, Any]:
    """What a figure depends on, without what names the machine."""
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
    }
