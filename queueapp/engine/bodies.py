"""The bytes of messages, read together after a claim and kept while their deliveries are at work.

Promises: a runner holds at most EARLY_TOTAL octets of small messages and LATE_TOTAL of large ones,
however much is due.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from queueapp.engine.leaving import leaving
from queueapp.engine.signing import CannotSign
from queueapp.models import bulk

# What is larger, or finds no room, is read when it is sent.
EARLY_SIZE = 256 * 1024
EARLY_TOTAL = 48 * 1024 * 1024
LATE_TOTAL = 128 * 1024 * 1024

_SELECT = """
    SELECT b.message_id, b.content, m.helo, m.client, m.protocol, m.accepted_at, m.message_id, m.sender
    FROM queueapp_body b JOIN queueapp_message m ON m.id = b.message_id WHERE {}
"""


def load(message_ids: list[int]) -> dict[int, bytes]:
    """Message id to the source as it goes out (leaving.py). What can't be signed now is left out."""
    return {pk: mail for pk, mail in _read(message_ids).items() if isinstance(mail, bytes)}


def load_one(message_id: int) -> bytes | None:
    """The same for one that is due to be sent. Raises CannotSign; None where the source is gone."""
    mail = _read([message_id]).get(message_id)
    if isinstance(mail, CannotSign):
        raise mail
    return mail


def _read(message_ids: list[int]) -> dict[int, bytes | CannotSign]:
    with bulk.reading() as cursor:
        cursor.execute(_SELECT.format(bulk.any_of("b.message_id")), [bulk.id_list(message_ids)])
        return leaving(cursor.fetchall())


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
