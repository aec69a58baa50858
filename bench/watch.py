"""Readers of the dashboard: `python -m bench.watch URL SOCKETS SECONDS CHANGES_PER_S WEB_PID`.

Opens sockets as browsers do, changes the queue by commits of its own, and notes for each socket and change
how long it took until a snapshot showed it. Prints one JSON object. Runs with the settings of the system
under test, for it writes into its database. Looks for one number in each text instead of parsing it, so
that three hundred readers cost little of the machine that serves them.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from websockets.asyncio.client import connect

PIXEL = 1.5  # seconds from a change to what is seen
_QUEUED = re.compile(r'"queued":(\d+)')
_TICKS = os.sysconf("SC_CLK_TCK")
_STEP = 0.01  # seconds, the width of a class of waiting times
_PATIENCE = 10.0
_DOMAINS = 20  # as many as a snapshot tells of


@dataclass
class Changes:
    """`at[k]`: when the k-th change was committed and told."""

    at: list[float] = field(default_factory=list)
    before: int = 0


@dataclass
class Waited:
    """Waiting times of all sockets, by classes of a hundredth of a second."""

    classes: Counter[int] = field(default_factory=Counter)
    longest: float = 0.0
    n_texts: int = 0
    n_bytes: int = 0

    def note(self, seconds: float) -> None:
        self.classes[int(seconds / _STEP)] += 1
        self.longest = max(self.longest, seconds)

    def share_within(self, seconds: float) -> float:
        n = sum(self.classes.values())
        return sum(count for each, count in self.classes.items() if each * _STEP < seconds) / n if n else 0.0

    def quantile(self, share: float) -> float:
        left = share * sum(self.classes.values())
        for each in sorted(self.classes):
            left -= self.classes[each]
            if left <= 0:
                return (each + 1) * _STEP
        return 0.0


def a_session() -> str:
    """The Cookie header of a reader who is logged in."""
    from django.contrib.auth.models import User
    from django.test import Client

    user, _ = User.objects.get_or_create(username="bench-reader")
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return f"mailweir_session={client.cookies['mailweir_session'].value}"


def change(changes: Changes, per_s: float, seconds: float) -> None:
    """Commits and tells, evenly; where the disk is slower than asked, as fast as it goes."""
    from django.db.models import F

    from queueapp import events
    from queueapp.models import RecipientDomain

    rows = [RecipientDomain.objects.get_or_create(name=f"watched{n}.example")[0] for n in range(_DOMAINS)]
    began = time.monotonic()
    for number in range(int(per_s * seconds)):
        time.sleep(max(0.0, began + number / per_s - time.monotonic()))
        RecipientDomain.objects.filter(pk=rows[number % _DOMAINS].pk).update(n_queued=F("n_queued") + 1)
        changes.at.append(time.monotonic())
        events.publish("deliveries")
        if time.monotonic() - began > 2 * seconds:
            return


async def read(url: str, cookie: str, changes: Changes, waited: Waited, ready: asyncio.Semaphore) -> None:
    headers = {"Cookie": cookie, "Origin": url}
    address = url.replace("http", "ws", 1) + "/ws/live"
    async with ready:  # not all three hundred handshakes at once
        socket = await connect(address, additional_headers=headers, max_size=None, compression=None)
    seen = 0
    async with socket:
        async for text in socket:
            now = time.monotonic()
            waited.n_texts += 1
            waited.n_bytes += len(text)
            found = _QUEUED.search(str(text))
            n = min(int(found[1]) - changes.before, len(changes.at)) if found else 0
            for at in changes.at[seen:n]:
                waited.note(now - at)
            seen = max(seen, n)


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return sum(int(each) for each in fields[11:13]) / _TICKS


async def watch(url: str, n: int, seconds: float, per_s: float, pid: int) -> dict[str, float]:
    from queueapp import stats

    changes, waited, ready = Changes(), Waited(), asyncio.Semaphore(20)
    cookie = await asyncio.to_thread(a_session)
    changes.before = (await asyncio.to_thread(stats.depth)).get("queued", 0)
    readers = [asyncio.create_task(read(url, cookie, changes, waited, ready)) for _ in range(n)]
    while waited.n_texts < n:
        await asyncio.sleep(0.1)
        for reader in readers:
            if reader.done():
                reader.result()  # raises what kept it from reading
    waited.n_texts = waited.n_bytes = 0
    began, used = time.monotonic(), cpu(pid)
    writer = threading.Thread(target=change, args=(changes, per_s, seconds), daemon=True)
    writer.start()
    await asyncio.to_thread(writer.join)
    took, used = time.monotonic() - began, cpu(pid) - used
    expected = n * len(changes.at)
    for _ in range(round(_PATIENCE / 0.05)):
        if sum(waited.classes.values()) >= expected:
            break
        await asyncio.sleep(0.05)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    return {
        "seconds": took,
        "changes": len(changes.at),
        "seen": sum(waited.classes.values()) / expected if expected else 0.0,
        "within": waited.share_within(PIXEL),
        "p50": waited.quantile(0.5),
        "p99": waited.quantile(0.99),
        "longest": waited.longest,
        "web_cpu": used / took,
        "web_cpu_seconds": used,
        "texts_per_s": waited.n_texts / took,
        "mb_per_s": waited.n_bytes / took / 1e6,
    }


def main(arguments: list[str]) -> int:
    url, n, seconds, per_s, pid = arguments
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    import django

    django.setup()
    print(json.dumps(uvloop.run(watch(url, int(n), float(seconds), float(per_s), int(pid)))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
