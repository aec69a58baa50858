"""(k) 100,000 mails are deleted from a loaded queue, by one command: ours and `postsuper -d -`.

Ours goes to the bin, row by row with its counters, its audit and what undo needs, and can be taken back
for a day; that of Postfix is gone. Nothing is delivered meanwhile. The time is that of the whole command.

And half of a large queue is deleted in the browser and taken back, with mail flowing (bench/deleting.py): of
100,000 deliveries, or with --full of a million. BENCH_ONLY=delete or live does one of the two.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from typing import Any

from bench.deleting import delete_live
from bench.mails import Mails
from bench.options import Options
from bench.rounds import Case, Outcome, Sample
from bench.scratch import scratch
from bench.systems.base import Contender, Failed, ours
from bench.systems.mailweir import Mailweir
from bench.systems.postfix import Postfix
from bench.usage import Meter

TITLE = "mails are deleted: 100,000 by one command, and half of a large queue in the browser"
_TIMEOUT = 1800.0
_told: list[str] = []


def cases(options: Options) -> list[Case]:
    mails = Mails(options.scaled(100_000), 50)
    title = f"{mails.n:,} mails of 5 KB to 50 domains, deleted"
    rows, domains = (1_000_000, 20_000) if options.is_full else (100_000, 2_000)
    rows = options.scaled(rows, 1_000)
    live = f"half of {rows:,} deliveries over {domains:,} domains, deleted and taken back with mail flowing"
    found = [
        Case("delete", title, lambda contender: delete(contender, mails), takes=_can_delete),
        Case("live", live, lambda contender: delete_live(contender, rows, domains, _told), takes=ours),
    ]
    only = os.environ.get("BENCH_ONLY", "")
    return [each for each in found if not only or each.name == only]


def _can_delete(contender: type[Contender]) -> bool:
    return contender.is_ours or contender is Postfix


def delete(contender: type[Contender], mails: Mails) -> Sample:
    with scratch() as folder, contender(folder, ("127.0.0.1", 9)) as system:
        system.start(delivering=False)
        system.load(mails)
        with Meter(system.roots) as meter:
            meter.start_counting()
            began, cpu = time.monotonic(), _of_children()
            n = _ours(system) if isinstance(system, Mailweir) else _postsuper(system)
            seconds = time.monotonic() - began
            cpu_seconds = (meter.cpu() or 0) + _of_children() - cpu
        if n != mails.n:
            raise Failed(f"{n} of {mails.n} mails were deleted")
        sample = Sample(rate=n / seconds, n=n, seconds=seconds, cpu_seconds=cpu_seconds)
        if isinstance(system, Mailweir):
            began = time.monotonic()
            _undo(system)
            sample.more = {"undo_seconds": time.monotonic() - began}
        return sample


def _of_children() -> float:
    """Processor seconds of commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _ours(system: Mailweir) -> int:
    return int(_command(system, "delete", "--yes", "--json")["done"])


def _undo(system: Mailweir) -> None:
    told = _command(system, "undo", "1", "--json")
    if told["done"] != told["matched"]:
        raise Failed(f"not all came back: {told}")


def _command(system: Mailweir, *arguments: str) -> dict[str, Any]:
    assert system.system is not None
    done = system.system.manage("queue", *arguments, timeout=_TIMEOUT)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _postsuper(system: Any) -> int:
    """Ids by standard input, as an administrator pipes them from `mailq`; making the list is not counted."""
    queue = system.folder / "q"
    ids = [path.name for name in ("incoming", "active", "deferred") for path in (queue / name).rglob("*")]
    done = subprocess.run(
        [str(system.package / "usr/sbin/postsuper"), "-c", str(system.folder / "etc"), "-d", "-"],
        input="\n".join(ids) + "\n",
        env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_LIBRARY_PATH": str(system.package / "usr/lib/postfix"),
        },
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    left = sum(1 for path in (queue / "incoming").iterdir() if path.is_file())
    if done.returncode or left:
        raise Failed(f"postsuper ended with {done.returncode}, {left} left: {done.stderr[-1000:]}")
    return len(ids)


def conclusions(outcomes: list[Outcome]) -> list[str]:
    """The median times side by side, and all that was seen of the live ones."""
    lines = list(_told)
    for outcome in outcomes:
        for label, samples in outcome.samples.items():
            good = sorted(each.seconds for each in samples if not each.error)
            if good:
                lines.append(f"{label}: {good[len(good) // 2]:.1f} s")
    return lines
