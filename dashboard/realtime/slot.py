"""Room for one message: what isn't read in time is replaced by what is newer, never queued.

Channels and its layers queue without a bound for each socket, so a browser that sleeps would grow
the process. A snapshot makes all before it worthless; keeping the newest is enough.
"""

from __future__ import annotations

import asyncio


class Slot:
    def __init__(self) -> None:
        self._text: str | None = None
        self._filled = asyncio.Event()

    def put(self, text: str) -> None:
        self._text = text
        self._filled.set()

    async def take(self) -> str:
        """Wait for a message and take it out."""
        await self._filled.wait()
        self._filled.clear()
        text, self._text = self._text, None
        assert text is not None, "a filled slot holds a text"
        return text
