"""The bytes of messages, read together after a claim and kept while their deliveries are at work.

Promises: a runner holds at most EARLY_TOTAL octets of small messages and LATE_TOTAL of large ones,
however much is due.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from queueapp import conf
from queueapp.mail.trace import received_line
from queueapp.models import Body

# What is larger, or finds no room, is read when it is sent.
EARLY_SIZE = 256 * 1024
EARLY_TOTAL = 48 * 1024 * 1024
LATE_TOTAL = 128 * 1024 * 1024

_FIELDS = (
    "message_id", "content", "message__helo", "message__client", "message__protocol", "message__accepted_at",
)  # fmt: skip


def load(message_ids: list[int]) -> dict[int, bytes]:
    """Message id to the source as it goes out: our Received line, then the body as submitted."""
    hostname = conf.current().host
    rows = Body.objects.filter(message_id__in=message_ids).values_list(*_FIELDS)
    return {
        pk: received_line(
            helo=helo, client=client, hostname=hostname, protocol=protocol, queue_id=str(pk), at=accepted_at
        )
        + bytes(content)
        for pk, content, helo, client, protocol, accepted_at in rows
    }


def worth_loading(sizes: dict[int, int], room: int = EARLY_TOTAL) -> list[int]:
    """Of the messages just claimed (id to size), those to read at once into `room` octets."""
    chosen = []
    for pk, size in sizes.items():
        if size <= min(EARLY_SIZE, room):
            chosen.append(pk)
            room -= size
    return chosen


class Budget:
    """Octets that may be in memory at once. Who comes first is served first, so a large one is not
    passed by small ones for ever. For one event loop."""

    def __init__(self, total: int) -> None:
        self.total = self.free = total
        self._turn = asyncio.Lock()
        self._is_freed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        size = min(size, self.total)
        async with self._turn:
            while self.free < size:
                self._is_freed.clear()
                await self._is_freed.wait()
            self.free -= size
        try:
            yield
        finally:
            self.free += size
            self._is_freed.set()
