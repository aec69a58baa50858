"""Group commit without a database: every item is committed once, alone when alone, together in a crowd."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from queueapp.engine.writer import GroupCommit

pytestmark = pytest.mark.once


def test_items_of_several_loops_come_through_once_each() -> None:
    committed: list[tuple[int, int]] = []

    def commit(items: list[tuple[int, int]]) -> list[tuple[int, int]]:
        committed.extend(items)
        return items

    writer: GroupCommit[tuple[int, int], tuple[int, int]] = GroupCommit("test", commit, linger=0.0005)

    async def client(loop: int, number: int) -> None:
        for place in range(25):
            item = (loop, number * 100 + place)
            assert await writer.submit(item) == item

    async def clients(loop: int) -> None:
        await asyncio.wait_for(asyncio.gather(*(client(loop, number) for number in range(8))), 60)

    loops = [threading.Thread(target=asyncio.run, args=(clients(loop),)) for loop in range(3)]
    for each in loops:
        each.start()
    for each in loops:
        each.join(90)
    writer.close()
    assert len(committed) == len(set(committed)) == 3 * 8 * 25


def test_one_alone_waits_for_nobody() -> None:
    """However often it comes: a client that sends mail after mail is no crowd."""
    writer: GroupCommit[int, int] = GroupCommit("test", lambda items: items, linger=60)

    async def main() -> list[int]:
        return [await asyncio.wait_for(writer.submit(number), 30) for number in range(5)]

    assert asyncio.run(main()) == list(range(5))
    writer.close()


def test_a_crowd_is_waited_for_until_it_is_there() -> None:
    sizes: list[int] = []
    began = threading.Event()

    def commit(items: list[int]) -> list[int]:
        sizes.append(len(items))
        if len(sizes) == 1:
            began.set()
            time.sleep(0.3)  # meanwhile the others come
        return items

    writer: GroupCommit[int, int] = GroupCommit("test", commit, linger=60)

    async def one(number: int, rounds: int) -> None:
        for _ in range(rounds):
            await writer.submit(number)
            await asyncio.sleep(0.001 * number)

    async def main() -> None:
        first = writer.submit(0)
        await asyncio.to_thread(began.wait, 30)
        await asyncio.wait_for(asyncio.gather(first, *(one(number, 3) for number in range(1, 6))), 30)

    asyncio.run(main())
    writer.close()
    assert sizes == [1, 5, 5, 5]


def test_what_is_there_is_committed_when_it_closes() -> None:
    seen: list[int] = []

    def commit(items: list[int]) -> list[int]:
        time.sleep(0.05)
        seen.extend(items)
        return items

    async def main() -> None:
        writer: GroupCommit[int, int] = GroupCommit("test", commit, max_batch=4, linger=60)
        futures = [writer.submit(number) for number in range(10)]
        await asyncio.to_thread(writer.close)
        assert await asyncio.wait_for(asyncio.gather(*futures), 30) == list(range(10))

    asyncio.run(main())
    assert seen == list(range(10))
