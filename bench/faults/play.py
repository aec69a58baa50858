"""One fault from begin to end: load, break, mend, let it settle, count."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bench.faults.book import Api, Finding, count
from bench.faults.kinds import Fault
from bench.faults.load import Load
from bench.faults.rig import SESSIONS, Rig

HOLD = 20.0
SETTLE = 240.0
_PENDING = ("queued", "sending", "deferred")


def play(name: str, fault: Fault, database: str, seconds: float, rate: float, folder: Path) -> Finding:
    """The load lasts `seconds`, or what the fault needs; the fault begins after a sixth of it."""
    finding = Finding(name, database, rate=rate)
    try:
        with Rig(
            folder, database, fault.settings, own_valkey=fault.own_valkey, environment=fault.environment()
        ) as rig:
            _under_load(finding, fault, rig, seconds)
    finally:
        fault.close()
    return finding


def hold_of(fault: Fault, seconds: float) -> float:
    usual = min(HOLD, seconds / 3)
    return usual if fault.hold is None else min(fault.hold, seconds)


def _under_load(finding: Finding, fault: Fault, rig: Rig, seconds: float) -> None:
    hold = hold_of(fault, seconds)
    with Load(lambda: rig.system.smtp_address, finding.rate) as load:
        began = time.monotonic()
        time.sleep(seconds / 6)
        fault.begin(rig)
        fault.last(rig, hold)
        fault.end(rig)
        healed_at = time.monotonic()
        time.sleep(max(began + seconds - healed_at, seconds / 4))
        load.stop()
        finding.seconds = time.monotonic() - began
    depth = settle(lambda: rig.api, lambda: load.accepted.keys() <= rig.sink.received.keys())
    finding.allowed, finding.refused = fault.allowed, load.n_refused
    finding.sessions, finding.limit = rig.sink.peak, SESSIONS
    count(finding, load.accepted, rig.sink.received, rig.sink.first_at, rig.api.ambiguous(), healed_at)
    finding.wrong += judge(finding, depth, rig.sink.n_strangers)
    if not finding.is_good:
        finding.wrong.append("log: " + " | ".join(rig.system.log(1500).splitlines()[-6:]))


def settle(api: Callable[[], Api], all_came: Callable[[], bool]) -> dict[str, int]:
    """Wait until all has come and nothing is under way; the depth then, or when patience ended."""
    end = time.monotonic() + SETTLE
    depth: dict[str, int] = {}
    while time.monotonic() < end:
        try:
            depth = api().depth()
        except (OSError, KeyError):
            depth = {}
        if depth and all_came() and not any(depth.get(state) for state in _PENDING):
            return depth
        time.sleep(0.5)
    return depth


def judge(finding: Finding, depth: dict[str, int], n_strangers: int) -> list[str]:
    """What is wrong beside the count."""
    left = {state: n for state, n in depth.items() if n and state != "delivered"}
    wrong = [f"not delivered in the end: {left}"] if left else []
    if n_strangers:
        wrong.append(f"{n_strangers} mails that nobody sent")
    if finding.accepted < finding.rate:
        wrong.append(f"only {finding.accepted} mails were accepted: that is no load")
    return wrong
