"""A small pipelining load: `python tests/sandbox/load.py HOST PORT [MAILS] [CONNECTIONS] [OCTETS]`.

Not a test. Speaks just enough SMTP to push mails as fast as one Python process can: the envelope in
one group, then the content, on kept connections.
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop


class Pusher(asyncio.Protocol):
    def __init__(self, name: int, n_mails: int, octets: int) -> None:
        self.name, self.left = name, n_mails
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.body = b"\r\n" + b"0123456789abcde\r\n" * (octets // 17) + b".\r\n"
        self.held = b""
        self.wanted = 1
        self.step = "greeting"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.held += data
        lines = self.held.split(b"\r\n")
        self.held = lines.pop()
        for line in lines:
            if line[3:4] != b"-":
                self.wanted -= 1
                if line[:1] not in b"23":
                    self.done.set_exception(RuntimeError(line.decode()))
                    self.transport.close()
                    return
        if self.wanted <= 0:
            self.next()

    def next(self) -> None:
        if self.step == "greeting":
            self.step, self.wanted = "mail", 1
            self.transport.write(b"EHLO load.test\r\n")
        elif self.step == "mail" and not self.left:
            self.transport.write(b"QUIT\r\n")
            self.transport.close()
            self.done.set_result(None)
        elif self.step == "mail":
            self.step, self.wanted = "content", 3
            self.transport.write(b"MAIL FROM:<load@load.test>\r\nRCPT TO:<ok@load.test>\r\nDATA\r\n")
        else:
            self.step, self.wanted = "mail", 1
            self.left -= 1
            head = b"Subject: load\r\nMessage-ID: <%d.%d@load.test>\r\n" % (self.name, self.left)
            self.transport.write(head + self.body)


async def push(host: str, port: int, n_mails: int, n_connections: int, octets: int) -> float:
    """Mails per second from the first connection to the last reply."""
    loop = asyncio.get_running_loop()
    each = n_mails // n_connections
    start = time.perf_counter()
    opened = [
        await loop.create_connection(lambda n=n: Pusher(n, each, octets), host, port)
        for n in range(n_connections)
    ]
    await asyncio.gather(*(pusher.done for _, pusher in opened))
    return each * n_connections / (time.perf_counter() - start)


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[2:]] + [20_000, 50, 2_000][len(sys.argv) - 3 :]
    rate = uvloop.run(push(sys.argv[1], *numbers))
    print(f"{rate:,.0f} mails/s ({numbers[1]} mails, {numbers[2]} connections, {numbers[3]} octets)")
