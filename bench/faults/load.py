"""Mail that comes in at a steady rate while things break, and an exact note of what was accepted.

    with Load(lambda: system.smtp_address, rate=300) as load:
        …
        load.stop()
    load.accepted      {number: when its 250 was read}, by the monotonic clock
    load.unsure        numbers whose dot went out and whose reply never came: accepted or not, nobody knows

Each mail has a number of its own in Message-ID and recipient, and is offered once: who is refused or cut
off goes on with the next number. So whatever comes twice was repeated by the system and not by us.
It runs in a thread; inside `inside(function)`, where given, so that it can live in a network namespace.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable

import uvloop

N_DOMAINS = 50
_CLIENTS = 20
_PATIENCE = 60.0  # for a reply: longer than any fault lasts
_PAUSE = 0.2
_FILL = b"The quick brown fox jumps over the lazy dog, and the dog goes on sleeping.\r\n" * 12


def recipient(number: int) -> str:
    return f"m{number}@d{number % N_DOMAINS}.fault.test"


def content(number: int) -> bytes:
    head = f"From: a@sender.test\r\nTo: {recipient(number)}\r\nMessage-ID: <{number}@fault.test>\r\n\r\n"
    return head.encode() + _FILL


class Refused(Exception):
    """A reply that is no yes."""


class Load:
    """`address` is asked anew for each connection: a system that starts again may listen elsewhere."""

    def __init__(self, address: Callable[[], tuple[str, int]], rate: float, *, first: int = 0) -> None:
        self.address, self.rate = address, rate
        self.accepted: dict[int, float] = {}
        self.unsure: set[int] = set()
        self.n_refused = 0
        self._numbers = itertools.count(first)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No new mail; returns when all that is under way has its answer."""
        self._stopped.set()
        self._thread.join(_PATIENCE + 10)

    def enter(self) -> None:
        """What the thread does first; a load in a namespace moves there."""

    def _run(self) -> None:
        self.enter()
        uvloop.run(self._main())

    async def _main(self) -> None:
        self._next_at = time.monotonic()
        await asyncio.gather(*(self._client() for _ in range(_CLIENTS)))

    async def _client(self) -> None:
        while not self._stopped.is_set():
            writer = None
            try:
                async with asyncio.timeout(_PATIENCE):
                    reader, writer = await asyncio.open_connection(*self.address())
                    await _reply(reader)
                    writer.write(b"EHLO load.test\r\n")
                    await _reply(reader)
                while await self._turn():
                    await self._send(reader, writer, next(self._numbers))
            except Refused:
                self.n_refused += 1
            except (OSError, EOFError, KeyError, ValueError, TimeoutError):
                pass
            finally:
                if writer is not None:
                    writer.close()
            await asyncio.sleep(_PAUSE)

    async def _turn(self) -> bool:
        """Wait for the next slot of the rate, which all clients share. What is late is not made up for
        beyond a second, or an outage would end in a flood."""
        now = time.monotonic()
        at = self._next_at = max(self._next_at, now - 1.0) + 1.0 / self.rate
        await asyncio.sleep(max(0.0, at - now))
        return not self._stopped.is_set()

    async def _send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        envelope = f"MAIL FROM:<a@sender.test>\r\nRCPT TO:<{recipient(number)}>\r\nDATA\r\n"
        async with asyncio.timeout(_PATIENCE):
            writer.write(envelope.encode())
            for _ in range(3):
                await _reply(reader)
            writer.write(content(number) + b".\r\n")
            self.unsure.add(number)
            try:
                await _reply(reader)
            except Refused:
                self.unsure.discard(number)
                raise
            self.accepted[number] = time.monotonic()
            self.unsure.discard(number)


async def _reply(reader: asyncio.StreamReader) -> None:
    while True:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        if line[3:4] != b"-":
            if line[:1] not in b"23":
                raise Refused(line)
            return
