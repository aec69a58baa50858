"""Open SMTP sessions that wait for their next message, by where they lead.

Sites that share endpoint and options (the domains of the sandbox) share the sessions.
Promises: never more idle sessions than the runner's limit leaves beside the busy ones; one that
idles is ended with QUIT after a few seconds, since most receivers count it. A session counts in its
site's share until the other side knows that it is over (engine/limits.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from queueapp.engine.limits import Share
from queueapp.transports.base import Endpoint, Options
from queueapp.transports.smtp.client import Session

IDLE = 3.0
# A connection that was cut counts on: the receiver may see its end later than the next one's beginning.
COOLING = 0.2
Key = tuple[tuple[Endpoint, ...], Options]


class SessionPool:
    """`freed` is called with the site of a session that is over."""

    def __init__(self, size: int, freed: Callable[[int], None]) -> None:
        self.size = size
        self.n_busy = 0
        self._freed = freed
        self._idle: dict[Key, list[tuple[float, Session, Share]]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def take(self, key: Key, share: Share) -> Session | None:
        """The session that idles for the shortest time, from now on in this share; None where there is
        none, or it is another site's and this share has no room for it."""
        waiting = self._idle.get(key)
        while waiting:
            _, session, owner = waiting[-1]
            if session.is_usable and owner is not share and not share.has_room:
                return None
            waiting.pop()
            if session.is_usable:
                owner.n_kept -= 1
                if owner is not share:
                    self._freed(owner.site_id)
                return session
            self._cut(session, owner)
        return None

    def put(self, key: Key, session: Session, share: Share) -> None:
        """Comes from a task of this share, which counts it no longer."""
        share.n_kept += 1
        if not session.is_usable or session.begun is not None:
            # In the middle of a mail it is of use to nobody else.
            self._cut(session, share)
        elif self._has_enough or share.is_over or session.n_sent >= share.max_mails:
            self._quit(session, share)
        else:
            self._idle.setdefault(key, []).append((time.monotonic(), session, share))

    @property
    def _has_enough(self) -> bool:
        return sum(map(len, self._idle.values())) + self.n_busy > self.size

    def end_idle(self, share: Share) -> None:
        """End sessions of this share while it has too many, the longest idle first."""
        n = share.n_open - share.granted
        for waiting in self._idle.values():
            mine = [entry for entry in waiting if entry[2] is share][: max(n, 0)]
            for entry in mine:
                waiting.remove(entry)
                self._quit(entry[1], share)
            n -= len(mine)

    async def tend(self) -> None:
        """End what idles too long, until cancelled."""
        while True:
            await asyncio.sleep(1)
            old = time.monotonic() - IDLE
            for key, waiting in list(self._idle.items()):
                for since, session, share in waiting:
                    if since < old:
                        self._quit(session, share)
                self._idle[key] = [entry for entry in waiting if entry[0] >= old]
                if not self._idle[key]:
                    del self._idle[key]

    async def close(self, grace: float = 2.0) -> None:
        for waiting in self._idle.values():
            for _, session, share in waiting:
                self._quit(session, share)
        self._idle.clear()
        if self._ending:
            _, late = await asyncio.wait(self._ending, timeout=grace)
            for task in late:
                # Cut off: its place in the share is given up now.
                task.cancel()

    def cool(self, share: Share) -> None:
        """A connection of a task is over at once, without a word: it counts a moment longer."""
        share.n_kept += 1
        asyncio.get_running_loop().call_later(COOLING, self._is_over, share)

    def _cut(self, session: Session, share: Share) -> None:
        session.abort()
        asyncio.get_running_loop().call_later(COOLING, self._is_over, share)

    def _quit(self, session: Session, share: Share) -> None:
        task = asyncio.create_task(session.quit())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        task.add_done_callback(lambda _: self._is_over(share))

    def _is_over(self, share: Share) -> None:
        share.n_kept -= 1
        self._freed(share.site_id)
