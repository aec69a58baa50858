"""Open SMTP sessions that wait for their next message, by where they lead.

Sites that share endpoint and options (the domains behind one relay) share the sessions.
Promises: never more idle sessions than the runner's limit leaves beside the busy ones; one that
idles is ended with QUIT after a few seconds, since most receivers count it.
"""

from __future__ import annotations

import asyncio
import time

from queueapp.transports.base import Endpoint, Options
from queueapp.transports.smtp.client import Session

IDLE = 3.0
Key = tuple[tuple[Endpoint, ...], Options]


class SessionPool:
    def __init__(self, size: int) -> None:
        self.size = size
        self.n_busy = 0
        self._idle: dict[Key, list[tuple[float, Session]]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def take(self, key: Key) -> Session | None:
        """The session that idles for the shortest time; None where there is none."""
        waiting = self._idle.get(key)
        while waiting:
            _, session = waiting.pop()
            if session.is_usable:
                return session
            session.abort()
        return None

    def put(self, key: Key, session: Session) -> None:
        if not session.is_usable:
            session.abort()
        elif sum(map(len, self._idle.values())) + self.n_busy > self.size:
            self._quit(session)
        else:
            self._idle.setdefault(key, []).append((time.monotonic(), session))

    async def tend(self) -> None:
        """End what idles too long, until cancelled."""
        while True:
            await asyncio.sleep(1)
            old = time.monotonic() - IDLE
            for key, waiting in list(self._idle.items()):
                for since, session in waiting:
                    if since < old:
                        self._quit(session)
                self._idle[key] = [entry for entry in waiting if entry[0] >= old]
                if not self._idle[key]:
                    del self._idle[key]

    async def close(self, grace: float = 2.0) -> None:
        for waiting in self._idle.values():
            for _, session in waiting:
                self._quit(session)
        self._idle.clear()
        if self._ending:
            await asyncio.wait(self._ending, timeout=grace)

    def _quit(self, session: Session) -> None:
        task = asyncio.create_task(session.quit())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
