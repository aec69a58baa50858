"""The receiver of the faults: it notes every mail by its Message-ID, and misbehaves on request.

    with RecordingSink() as sink:
        sink.manner = "close"
    sink.received      {number: how often its final dot came}

A mail counts at its final dot, whatever is answered then. Manners:

    take     as it should be
    mute     says nothing any more: no greeting, no reply, until it is told to take again
    silent   takes the mail and never answers the dot, until it is told to take again
    close    closes after the dot without a reply
    drip     one octet of each reply a second
    flood    100 MB of reply to the dot
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections import Counter
from typing import cast

import uvloop

MANNERS = ("take", "mute", "silent", "close", "drip", "flood")
_NUMBER = re.compile(rb"^Message-ID: <(\d+)@fault\.test>", re.IGNORECASE | re.MULTILINE)
_END = b"\r\n.\r\n"
_FLOOD = b"250-" + b"x" * 500 + b"\r\n"
_FLOOD_SIZE = 100_000_000


class RecordingSink:
    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.received: Counter[int] = Counter()
        self.first_at: dict[int, float] = {}
        self.n_strangers = 0  # mails that no load sent, such as bounce reports
        self.manner = "take"
        self.open: set[_Receiver] = set()
        self.most_open = 0
        self.peak = 0  # of sessions from addresses that are not in `gone`, from the start
        self.gone: set[str] = set()  # machines that can't tell us that their sessions ended
        self._socket = socket.create_server((host, port), backlog=500)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="sink", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def __enter__(self) -> RecordingSink:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._socket.close()

    def behave(self, manner: str) -> None:
        """From now on. Back to "take" closes what waits for an answer, as a restart would."""
        assert manner in MANNERS, manner
        self.manner = manner
        if manner == "take":
            self._loop.call_soon_threadsafe(self._drop_all)

    def count_open(self) -> int:
        """Sessions that are open now; begins the search for the most anew."""
        self.most_open = len(self.open)
        return self.most_open

    def _drop_all(self) -> None:
        for receiver in list(self.open):
            receiver.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        made = self._loop.create_server(lambda: _Receiver(self), sock=self._socket)
        self._loop.run_until_complete(made)
        self._loop.run_forever()

    def saw(self, mail: bytes) -> None:
        found = _NUMBER.search(mail)
        if found is None:
            self.n_strangers += 1
            return
        number = int(found[1])
        self.received[number] += 1
        self.first_at.setdefault(number, time.monotonic())


class _Receiver(asyncio.Protocol):
    """One connection."""

    def __init__(self, sink: RecordingSink) -> None:
        self.sink = sink
        self._held = b""
        self._in_data = False
        self._dripping: asyncio.Task[None] | None = None
        self._to_drip = b""
        self._has_room = asyncio.Event()
        self._has_room.set()
        self.peer = ""
        self._corked: bytes | None = None  # replies to what came in one piece leave in one
        self._ends = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.peer = str(transport.get_extra_info("peername")[0])
        self.sink.open.add(self)
        self.sink.most_open = max(self.sink.most_open, len(self.sink.open))
        self.sink.peak = max(self.sink.peak, sum(each.peer not in self.sink.gone for each in self.sink.open))
        self._say(b"220 sink.fault.test ESMTP\r\n")

    def connection_lost(self, error: Exception | None) -> None:
        self.sink.open.discard(self)
        self._has_room.set()

    def pause_writing(self) -> None:
        self._has_room.clear()

    def resume_writing(self) -> None:
        self._has_room.set()

    def data_received(self, data: bytes) -> None:
        self._held += data
        self._corked = b""
        self._read()
        said, self._corked = self._corked, None
        if said:
            self.transport.write(said)
        if self._ends:
            self.transport.close()

    def _read(self) -> None:
        while self._held and not self._ends:
            if self._in_data:
                mail, found, rest = self._held.partition(_END)
                if not found:
                    return
                self._held, self._in_data = rest, False
                self._end_of_mail(mail)
            else:
                line, found, rest = self._held.partition(b"\r\n")
                if not found:
                    return
                self._held = rest
                self._command(line)

    def _end_of_mail(self, mail: bytes) -> None:
        self.sink.saw(mail)
        if self.sink.manner == "close":
            self._ends = True
        elif self.sink.manner == "flood":
            self._dripping = asyncio.create_task(self._flood())
        elif self.sink.manner != "silent":
            self._say(b"250 2.0.0 Ok\r\n")

    def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb == b"EHLO":
            self._say(b"250-sink.fault.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
        elif verb == b"DATA":
            self._in_data = True
            self._say(b"354 go on\r\n")
        elif verb == b"QUIT":
            self._say(b"221 2.0.0 bye\r\n")
            self._ends = True
        else:
            self._say(b"250 2.0.0 Ok\r\n")

    def _say(self, text: bytes) -> None:
        if self.sink.manner == "mute":
            return
        if self.sink.manner == "drip" or self._to_drip:
            self._to_drip += text
            if self._dripping is None or self._dripping.done():
                self._dripping = asyncio.create_task(self._drip())
        else:
            if self._corked is None:
                self.transport.write(text)
            else:
                self._corked += text

    async def _drip(self) -> None:
        while self._to_drip and not self.transport.is_closing():
            self.transport.write(self._to_drip[:1])
            self._to_drip = self._to_drip[1:]
            await asyncio.sleep(1)

    async def _flood(self) -> None:
        for _ in range(_FLOOD_SIZE // (len(_FLOOD) * 100)):
            await self._has_room.wait()
            if self.transport.is_closing():
                return
            self.transport.write(_FLOOD * 100)
            await asyncio.sleep(0)
        self.transport.write(b"250 2.0.0 Ok\r\n")
