"""A receiver that is far away, slow or unwilling: `python -m bench.slow_sink --port N [options]`.

    --rtt 0.05      every reply comes a round trip late, the greeting two (the handshake's is its own)
    --think 0.2     and the reply to a mail's content by so much more
    --refuse        every recipient is told to come back: 452 4.2.2
    --watch probe   tells of each mail to a recipient that begins so, with the monotonic time

It prints `mesg=N` as smtp-sink does: mails taken, or refusals where it refuses. Replies keep their
order. Not as quick as smtp-sink (some 10,000 mails/s on one core), so it is used only where needed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import deque

import uvloop

_EVERY = 0.02


class Manner:
    """How all connections behave, and what they counted."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.rtt, self.think = options.rtt, options.think
        self.is_prompt = not self.rtt and not self.think
        self.refuse, self.watch = options.refuse, options.watch.encode()
        self.n = 0
        self._said = 0

    def saw_mail(self, recipient: bytes) -> None:
        self.n += 1
        if self.watch and recipient.startswith(self.watch):
            sys.stdout.write(f"seen {recipient.decode(errors='replace')} {time.monotonic():.6f}\n")
            sys.stdout.flush()

    async def tell(self) -> None:
        while True:
            if self.n != self._said:
                self._said = self.n
                sys.stdout.write(f"mesg={self.n}\r\n")
                sys.stdout.flush()
            await asyncio.sleep(_EVERY)


class Receiver(asyncio.Protocol):
    """One connection."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.recipient = b""
        self._held = b""
        self._in_data = self._is_gone = False
        self._waiting: deque[bytes] = deque()
        self._due = 0.0
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._reply(b"220 slow.bench.test ESMTP\r\n", self.manner.rtt)

    def data_received(self, data: bytes) -> None:
        self._held += data
        while self._held:
            if self._in_data:
                end = 3 if self._held.startswith(b".\r\n") else self._held.find(b"\r\n.\r\n") + 5
                if end < 5 and not self._held.startswith(b".\r\n"):
                    return
                self._held, self._in_data = self._held[end:], False
                self.manner.saw_mail(self.recipient)
                self._reply(b"250 2.0.0 Ok\r\n", self.manner.think)
            else:
                line, found, rest = self._held.partition(b"\r\n")
                if not found:
                    return
                self._held = rest
                self._command(line)

    def eof_received(self) -> bool:
        """A client that says QUIT with its content may close its half at once: it still gets its replies."""
        self._reply(b"")
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._is_gone = True

    def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb == b"EHLO":
            self._reply(
                b"250-slow.bench.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
            )
        elif verb == b"RCPT":
            self._recipient(line)
        elif verb == b"DATA" and self.recipient:
            self._in_data = True
            self._reply(b"354 go on\r\n")
        elif verb == b"DATA":
            self._reply(b"554 5.5.1 no valid recipients\r\n")
        elif verb == b"QUIT":
            self._reply(b"221 2.0.0 bye\r\n")
            self._reply(b"")
        else:
            if verb in (b"MAIL", b"RSET"):
                self.recipient = b""
            self._reply(b"250 2.0.0 Ok\r\n")

    def _recipient(self, line: bytes) -> None:
        if self.manner.refuse:
            self.manner.n += 1
            self._reply(b"452 4.2.2 mailbox full, come back later\r\n")
        else:
            self.recipient = line[line.find(b"<") + 1 : line.rfind(b">")]
            self._reply(b"250 2.1.5 Ok\r\n")

    def _reply(self, text: bytes, late: float = 0.0) -> None:
        """After a round trip and `late` more, and never before the reply to what came first; b"" closes.

        Timers that are due at once have no order of their own, so each takes the oldest reply.
        """
        self._waiting.append(text)
        self._due = max(self._due, self._loop.time() + self.manner.rtt + late)
        if self.manner.is_prompt:
            self._write()
        else:
            self._loop.call_at(self._due, self._write)

    def _write(self) -> None:
        text = self._waiting.popleft()
        if self._is_gone or self.transport.is_closing():
            return
        if not text:
            self.transport.close()
        else:
            self.transport.write(text)


async def serve(options: argparse.Namespace) -> None:
    manner = Manner(options)
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Receiver(manner), "127.0.0.1", options.port, backlog=1000)
    await manner.tell()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.slow_sink")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rtt", type=float, default=0.0)
    parser.add_argument("--think", type=float, default=0.0)
    parser.add_argument("--refuse", action="store_true")
    parser.add_argument("--watch", default="")
    uvloop.run(serve(parser.parse_args(arguments)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
