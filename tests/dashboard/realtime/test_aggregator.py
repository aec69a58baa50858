from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import redis

from dashboard.realtime.aggregator import Aggregator
from dashboard.realtime.slot import Slot
from queueapp import conf
from queueapp.events import CHANNEL
from tests.valkey import ValkeyServer

INTERVAL = 0.2
WITHIN = 5.0


def counting() -> Callable[[], dict[str, Any]]:
    numbers = itertools.count(1)
    return lambda: {"n": next(numbers)}


def an_aggregator(build: Callable[[], dict[str, Any]] | None = None, **times: float) -> Aggregator:
    return Aggregator(build or counting(), **{"interval": INTERVAL, "refresh": 60.0, "poll": 60.0, **times})


async def take(slot: Slot, within: float = WITHIN) -> dict[str, Any]:
    return dict(json.loads(await asyncio.wait_for(slot.take(), within)))


async def until_live(slot: Slot) -> dict[str, Any]:
    """Skip what came before Redis was heard."""
    while True:
        told = await take(slot)
        if told["is_live"]:
            return told


def say(text: str = "{}") -> None:
    with redis.Redis.from_url(conf.current().redis) as client:
        client.publish(CHANNEL, text)


def test_it_works(valkey: ValkeyServer) -> None:
    async def main() -> None:
        aggregator, slot = an_aggregator(), Slot()
        aggregator.join(slot)
        first = await until_live(slot)
        say()
        second = await take(slot)
        assert second["seq"] > first["seq"]
        aggregator.leave(slot)

    asyncio.run(main())


def test_it_sends_once_for_many_events(valkey: ValkeyServer) -> None:
    async def main() -> None:
        aggregator, slot = an_aggregator(interval=0.5), Slot()
        aggregator.join(slot)
        first = await until_live(slot)
        began = time.monotonic()
        while time.monotonic() - began < 1.4:
            say()
            await asyncio.sleep(0.005)
        last = await take(slot)
        assert 1 <= last["seq"] - first["seq"] <= 4
        aggregator.leave(slot)

    asyncio.run(main())


def test_it_sends_nothing_while_nothing_changes(valkey: ValkeyServer) -> None:
    async def main() -> None:
        aggregator, slot = an_aggregator(), Slot()
        aggregator.join(slot)
        await until_live(slot)
        try:
            await take(slot, 3 * INTERVAL)
        except TimeoutError:
            pass
        else:
            raise AssertionError("a snapshot came without a change")
        aggregator.leave(slot)

    asyncio.run(main())


def test_it_keeps_ages_true_without_a_change(valkey: ValkeyServer) -> None:
    async def main() -> None:
        aggregator, slot = an_aggregator(refresh=0.5), Slot()
        aggregator.join(slot)
        first = await until_live(slot)
        assert (await take(slot))["seq"] > first["seq"]
        aggregator.leave(slot)

    asyncio.run(main())


def test_it_gives_the_last_snapshot_to_who_comes_later(valkey: ValkeyServer) -> None:
    async def main() -> None:
        aggregator, early, late = an_aggregator(interval=30.0), Slot(), Slot()
        aggregator.join(early)
        first = await take(early)
        aggregator.join(late)
        assert await take(late) == first
        aggregator.leave(early)
        aggregator.leave(late)

    asyncio.run(main())


def test_it_polls_while_redis_is_away_and_says_so(valkey: ValkeyServer) -> None:
    async def main() -> None:
        with conf.override(redis_url="unix:///nowhere/valkey.sock"):
            aggregator, slot = an_aggregator(poll=0.3), Slot()
            aggregator.join(slot)
            first, second = await take(slot), await take(slot)
        assert not first["is_live"]
        assert second["seq"] > first["seq"]
        aggregator.leave(slot)

    asyncio.run(main())


def test_it_survives_a_database_that_is_away(valkey: ValkeyServer) -> None:
    numbers = itertools.count()

    def fails_first() -> dict[str, Any]:
        if next(numbers) < 2:
            raise OSError("the database is away")
        return {"n": 1}

    async def main() -> None:
        aggregator, slot = an_aggregator(fails_first, refresh=0.3, poll=0.3), Slot()
        aggregator.join(slot)
        assert (await take(slot))["n"] == 1
        aggregator.leave(slot)

    asyncio.run(main())


def test_it_works_only_while_somebody_looks(valkey: ValkeyServer) -> None:
    numbers = itertools.count()

    async def main() -> None:
        aggregator, slot = an_aggregator(lambda: {"n": next(numbers)}, refresh=0.3), Slot()
        aggregator.join(slot)
        await take(slot)
        aggregator.leave(slot)
        await asyncio.sleep(0)
        built = next(numbers)
        say()
        await asyncio.sleep(3 * INTERVAL)
        assert next(numbers) <= built + 2  # the one that was under way may end
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("live-")]

    asyncio.run(main())


def test_it_leaves_nothing_behind_when_readers_come_and_go(valkey: ValkeyServer) -> None:
    def live() -> list[asyncio.Task[Any]]:
        return [task for task in asyncio.all_tasks() if task.get_name().startswith("live-")]

    async def main() -> None:
        aggregator = an_aggregator(interval=0.01)
        for _ in range(25):
            slot = Slot()
            aggregator.join(slot)
            await take(slot)
            aggregator.leave(slot)
        deadline = time.monotonic() + WITHIN
        while live() and time.monotonic() < deadline:
            await asyncio.wait(live(), timeout=0.1)
        assert not live()

    asyncio.run(main())
