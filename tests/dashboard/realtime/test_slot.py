from __future__ import annotations

import asyncio

from dashboard.realtime.slot import Slot


def test_it_works() -> None:
    async def main() -> None:
        slot = Slot()
        slot.put("a")
        assert await slot.take() == "a"

    asyncio.run(main())


def test_it_keeps_only_the_newest() -> None:
    async def main() -> None:
        slot = Slot()
        for n in range(1000):
            slot.put(str(n))
        assert await slot.take() == "999"
        waits = asyncio.create_task(slot.take())
        await asyncio.sleep(0)
        assert not waits.done()
        slot.put("later")
        assert await asyncio.wait_for(waits, 5) == "later"

    asyncio.run(main())
