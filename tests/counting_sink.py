"""An SMTP server of the tests' own that counts: who is connected when, and when each mail comes.

    with CountingSink() as sink:
        … send to 127.0.0.1:sink.port …
        sink.most_at_once, sink.most_within(1.0), sink.recipients

It knows nothing of our code: an asyncio stream server in a thread, enough of RFC 5321 for a well-behaved
client with PIPELINING. A mail counts when its MAIL command is read, a connection from accept to close.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable

Answer = Callable[[str, str], str | None]


class CountingSink:
    """`takes` seconds for each mail. `answer(verb, line)` may reply in place of the server; by peer address
    in `answers`, if it is there."""

    def __init__(self, takes: float = 0.0, answer: Answer | None = None, host: str = "127.0.0.1") -> None:
        self.takes, self.answer, self.host = takes, answer, host
        self.port = 0
        self.most_at_once = 0
        self.n_connections = 0
        self.mails: list[float] = []
        self.recipients: Counter[str] = Counter()
        self.by_peer: Counter[str] = Counter()
        self.names: dict[str, set[str]] = {}
        self.per_connection: list[int] = []
        self._now: set[asyncio.Task[None]] = set()

    def __enter__(self) -> CountingSink:
        ready = threading.Event()

        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            server = await asyncio.start_server(self._serve, self.host, self.port, backlog=500)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await self._stop.wait()
            server.close()
            for task in list(self._now):
                task.cancel()
            await asyncio.gather(*self._now, return_exceptions=True)

        self._thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def most_within(self, seconds: float) -> int:
        """The most mails in any stretch of that length."""
        times, first, most = sorted(self.mails), 0, 0
        for last, at in enumerate(times):
            while at - times[first] >= seconds:
                first += 1
            most = max(most, last - first + 1)
        return most

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._now.add(task)
        self.n_connections += 1
        self.most_at_once = max(self.most_at_once, len(self._now))
        peer = writer.get_extra_info("peername")[0]
        n_before = self.by_peer[peer]
        try:
            await self._talk(reader, writer, peer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._now.discard(task)
            self.per_connection.append(self.by_peer[peer] - n_before)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        if not await self._say(writer, self._own("CONNECT", peer) or "220 sink ESMTP"):
            return
        while line := await reader.readline():
            text = line.decode(errors="replace").strip()
            verb = text[:4].upper()
            if verb == "MAIL":
                self.mails.append(time.monotonic())
                self.by_peer[peer] += 1
            if verb == "EHLO":
                self.names.setdefault(peer, set()).add(text[5:])
            own = self._own(verb, f"{peer} {text}")
            if verb == "RCPT" and own is None:
                self.recipients[text[text.find("<") + 1 : text.rfind(">")]] += 1
            if verb == "EHLO":
                await self._say(writer, own or "250-sink\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES")
            elif verb == "DATA" and own is None:
                await self._say(writer, "354 go on")
                while await reader.readuntil(b"\r\n") != b".\r\n":
                    pass
                if self.takes:
                    await asyncio.sleep(self.takes)
                await self._say(writer, self._own("DOT", peer) or "250 2.0.0 taken")
            elif verb == "QUIT":
                await self._say(writer, "221 2.0.0 bye")
                return
            elif not await self._say(writer, own or "250 2.0.0 ok"):
                return

    def _own(self, verb: str, line: str) -> str | None:
        return self.answer(verb, line) if self.answer else None

    async def _say(self, writer: asyncio.StreamWriter, reply: str) -> bool:
        """False where the reply ends the connection."""
        writer.write(reply.encode() + b"\r\n")
        await writer.drain()
        return not reply.startswith(("421", "554 no"))
