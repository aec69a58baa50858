"""The demo's traffic, followed to its end: every delivery stands where its scenario puts it, and the
database and the sandbox's own book agree.

`MAILWEIR_TEST_DEMO=RATE,SECONDS,WAIT` makes it longer: the issue's own figures are 50,60,180.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.flows.settled import api, archive, depth, key, settled, until
from tests.system import System

pytestmark = pytest.mark.system
RATE, SECONDS, WAIT = (int(each) for each in os.environ.get("MAILWEIR_TEST_DEMO", "20,6,0").split(","))

# Where each scenario leads. The second state is for those that time moves on.
ENDS = {
    "ok": {"delivered"},
    "greylist": {"deferred", "delivered"},
    "throttle": {"deferred", "delivered"},
    "defer": {"deferred"},
    "nouser": {"bounced"},
    "full": {"deferred"},
    "busy": {"deferred"},
    "blocked": {"bounced", "deferred"},
    "spam": {"bounced"},
    "big": {"bounced"},
    "slow": {"delivered"},
}


def everything(system: System, query: str = "") -> list[dict[str, Any]]:
    """All deliveries that match, page by page, as a script would read them."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = api(system, f"/api/v1/deliveries?q={query}&limit=500&cursor={cursor}")
        found += page["items"]
        cursor = page["next"] or ""
        if not cursor:
            return found


def test_every_delivery_ends_where_its_scenario_says(system: System, tmp_path: Path) -> None:
    key(system)
    log = tmp_path / "sent.jsonl"
    arguments = ("--rate", str(RATE), "--for", str(SECONDS), "--log", str(log), "--seed", "1")
    system.manage("demo", *arguments, timeout=SECONDS + 60)
    sent = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(sent) >= RATE, "the demo sent next to nothing"
    time.sleep(WAIT)
    now = settled(system, len(sent), within=90)

    states: dict[tuple[str, str], list[str]] = {}
    for each in everything(system):
        states.setdefault((each["from"], each["to"]), []).append(each["state"])
    wrong = [
        (each["scenario"], each["recipient"], states.get((each["sender"], each["recipient"])))
        for each in sent
        if not set(states.get((each["sender"], each["recipient"]), [])) <= ENDS[each["scenario"]]
        or (each["sender"], each["recipient"]) not in states
    ]
    print(
        json.dumps(
            {"sent": len(sent), "depth": now, "by_scenario": Counter(each["scenario"] for each in sent)}
        )
    )
    assert wrong == []


def test_the_books_agree(system: System) -> None:
    """Accepted is what became of it, and what we call delivered is what the sandbox took."""

    def agree() -> bool:
        now, book = depth(system), archive(system).counts()
        n_accepted = len(everything(system))
        assert n_accepted == sum(now.values())
        return (
            n_accepted == now["delivered"] + now["bounced"] + now["deferred"] + now["held"]
            and now["delivered"] == book.recipients
        )

    assert until(agree, 60, "the books do not agree")
    assert not everything(system, "is:ambiguous")
    assert archive(system).repeats() == {}


def test_the_counters_are_what_counting_gives(system: System) -> None:
    counted = Counter(each["state"] for each in everything(system))
    now = depth(system)
    assert {state: n for state, n in now.items() if n} == dict(counted)
