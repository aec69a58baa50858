"""Word from Redis that something changed.

Sets an event for each message and never looks inside: the truth is read from the database.
While Redis is away it tries again, quietly, and `is_connected` says so.
"""

from __future__ import annotations

import asyncio
import logging

import redis.asyncio as redis
from redis.exceptions import RedisError

from queueapp import conf
from queueapp.events import CHANNEL

log = logging.getLogger("mailweir.live")
_RETRY = 2.0  # seconds
_PROBE = 10.0  # seconds of silence after which the connection is asked whether it lives


class News:
    def __init__(self, changed: asyncio.Event) -> None:
        self.changed = changed
        self.is_connected = False

    async def listen(self) -> None:
        """Until cancelled."""
        while not _is_cancelled():
            client = redis.Redis.from_url(conf.current().redis, socket_connect_timeout=2)
            try:
                await self._follow(client)
            except (RedisError, OSError, TimeoutError) as error:
                if self.is_connected:
                    log.warning("live events: Redis is away, the database is polled instead: %s", error)
            finally:
                self.is_connected = False
                await client.aclose()
            if not _is_cancelled():
                await asyncio.sleep(_RETRY)

    async def _follow(self, client: redis.Redis) -> None:
        async with client.pubsub() as pubsub:
            await pubsub.subscribe(CHANNEL)
            while not _is_cancelled():
                message = await pubsub.get_message(timeout=_PROBE)
                if message is None:
                    await pubsub.ping()
                elif message["type"] == "subscribe":
                    self.is_connected = True
                    self.changed.set()  # whatever was missed until now
                elif message["type"] == "message":
                    self.changed.set()


def _is_cancelled() -> bool:
    """Asked in every round: `asyncio.wait_for`, which redis-py uses, loses a cancellation that comes
    together with the result (Python 3.11)."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
