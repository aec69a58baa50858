"""Wait for a running system to settle, and compare its book with the sandbox's own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TypeVar

from queueapp.sandbox.archive import Archive
from tests.system import System

T = TypeVar("T")


def until(what: Callable[[], T], within: float = 30.0, why: str = "it did not come about") -> T:
    """The first true answer of `what`; fails after `within` seconds with the last one."""
    end = time.monotonic() + within
    answer = what()
    while not answer:
        assert time.monotonic() < end, f"{why}; the last answer was {answer!r}"
        time.sleep(0.1)
        answer = what()
    return answer


def count(system: System, query: str = "") -> int:
    """As `manage.py queue count` says."""
    return int(json.loads(system.manage("queue", "count", query, "--json").stdout)["count"])


def depth(system: System) -> dict[str, int]:
    """Deliveries by state, through the API that scripts use."""
    return dict(api(system, "/api/v1/summary")["depth"])


def api(system: System, path: str) -> dict:  # type: ignore[type-arg]
    import urllib.request

    request = urllib.request.Request(system.http + path, headers={"Authorization": f"Bearer {key(system)}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return dict(json.load(answer))


_keys: dict[str, str] = {}


def key(system: System) -> str:
    """An API key of that system with every scope, made once."""
    home = str(system.home)
    if home not in _keys:
        made = system.manage("apikey", "create", "flows", "--scope", "submit,read,operate,admin")
        _keys[home] = made.stdout.strip().splitlines()[-1].split()[-1]
    return _keys[home]


def settled(system: System, n: int, within: float = 60.0) -> dict[str, int]:
    """Wait until `n` deliveries are there and none is queued or being sent."""

    def done() -> dict[str, int] | None:
        now = depth(system)
        return now if sum(now.values()) >= n and not now["queued"] and not now["sending"] else None

    return until(done, within, f"{n} deliveries did not settle: {depth(system)}") or {}


def archive(system: System) -> Archive:
    return Archive.in_home(system.home)
