"""What beats beside a runner's work: its lease, and its ear for kicks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from functools import partial
from typing import TYPE_CHECKING

import redis.asyncio as redis_async
from django.db import DatabaseError
from redis.exceptions import RedisError

from queueapp import conf, kick
from queueapp.engine import lease

if TYPE_CHECKING:
    from queueapp.engine.runner import QueueRunner

BEAT = 2.0
log = logging.getLogger(__name__)


async def beat(runner: QueueRunner) -> None:
    """Renew the lease, show the figures, and stop where the lease or the parent is gone."""
    parent = os.getppid()
    while True:
        figures = {"n_sessions": runner.pool.n_busy, **runner.hands.figures()}
        try:
            if not await runner.in_db(partial(lease.renew, runner.id, figures)):
                log.error("runner %d lost its lease: its claims belong to others now", runner.id)
                runner.hands.is_lost = True
                runner.stop()
        except DatabaseError as error:
            log.warning("lease not renewed: %s", error)
        except Exception:
            # A heart that stops in silence would let others take claims that are at work.
            log.exception("lease not renewed")
        if os.getppid() != parent:
            runner.stop()
        await asyncio.sleep(BEAT)


async def listen(wake: asyncio.Event) -> None:
    """Set `wake` at each kick. Where Redis is away the runner's own poll does the same, a second later."""
    while True:
        client = redis_async.Redis.from_url(conf.current().redis)
        try:
            async with client.pubsub() as pubsub:
                await pubsub.subscribe(kick.CHANNEL)
                wake.set()
                async for _ in pubsub.listen():
                    wake.set()
        except (RedisError, OSError, RuntimeError) as error:
            log.debug("no kicks: %s", error)
        finally:
            with contextlib.suppress(RedisError, OSError, RuntimeError):
                await client.aclose()
        await asyncio.sleep(1)
