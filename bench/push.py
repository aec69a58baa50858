"""Loads a system over SMTP: `python -m bench.push HOST PORT CONNECTIONS RATE N DOMAINS SIZE PREFIX`.

A process of its own, so that its processor time is nobody else's. Envelope in one group, then the
content, on kept connections; RATE mails a second, or 0 for as fast as they are taken. Ends with 1 at
the first refusal.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import uvloop

from bench.mails import SENDER, Mails


class Refused(RuntimeError):
    """What the server said."""


class Pusher(asyncio.Protocol):
    """One connection that sends the mails of `numbers`, one each `pause` seconds at most."""

    def __init__(self, mails: Mails, numbers: Iterator[int], pause: float = 0.0) -> None:
        self.mails, self.numbers, self.pause = mails, numbers, pause
        self._loop = asyncio.get_running_loop()
        self._next_at = self._loop.time()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.content = b""
        self._held = b""
        self._wanted = 1
        self._next = self._hello

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or Refused("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        *lines, self._held = (self._held + data).split(b"\r\n")
        for line in lines:
            if line[3:4] != b"-":
                self._wanted -= 1
                if line[:1] not in b"23" and not self.done.done():
                    self.done.set_exception(Refused(line.decode(errors="replace")))
                    self.transport.close()
                    return
        if self._wanted <= 0:
            self._next()

    def _say(self, what: bytes, n_replies: int, then: object) -> None:
        self._wanted, self._next = n_replies, then  # type: ignore[assignment]
        self.transport.write(what)

    def _hello(self) -> None:
        self._say(b"EHLO load.bench.test\r\n", 1, self._mail)

    def _mail(self) -> None:
        if self._next_at > self._loop.time():
            self._wanted = 1  # nothing is asked until then
            self._loop.call_at(self._next_at, self._send)
        else:
            self._send()

    def _send(self) -> None:
        self._next_at += self.pause
        number = next(self.numbers, None)
        if number is None:
            return self._say(b"QUIT\r\n", 1, self._end)
        self.content = self.mails.content(number)
        to = self.mails.recipient(number)
        envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{to}>\r\nDATA\r\n"
        return self._say(envelope.encode(), 3, self._data)

    def _data(self) -> None:
        self._say(self.content + b".\r\n", 1, self._mail)

    def _end(self) -> None:
        self.done.set_result(None)
        self.transport.close()


async def push(host: str, port: int, n_connections: int, rate: float, mails: Mails) -> None:
    """Returns when all are accepted; raises Refused or OSError."""
    loop = asyncio.get_running_loop()
    pause = n_connections / rate if rate else 0.0
    opened = [
        await loop.create_connection(
            lambda part=part: Pusher(mails, mails.share(part, n_connections), pause),  # type: ignore[misc]
            host,
            port,
        )
        for part in range(n_connections)
    ]
    await asyncio.gather(*(pusher.done for _, pusher in opened))


def main(arguments: list[str]) -> int:
    host, port, n_connections, rate, *rest = arguments
    try:
        uvloop.run(push(host, int(port), int(n_connections), float(rate), Mails.from_arguments(rest)))
    except (Refused, OSError) as error:
        print(f"{host}:{port} did not take the mails: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
