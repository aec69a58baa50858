"""Live events for the open dashboards, sent after the commit that made them true.

Promises: `publish` never raises and never waits long; an event that is lost is harmless,
because the aggregator reads the database anyway. Redis being away costs liveliness, not mail.
"""

from __future__ import annotations

import json
import logging
import os
import time
from functools import partial
from typing import Any

import redis as redis_py
from django.db import transaction

from queueapp import conf
from queueapp.hints import Hint

CHANNEL = "mailweir:events"
log = logging.getLogger(__name__)
# Who has just waited in vain for a Redis that hangs leaves it alone for a while: accepting mail must not
# wait at every commit. The sweep makes good what is not said meanwhile.
_LEFT_ALONE = 10.0
_left_alone_until = 0.0
_clients: dict[tuple[int, str], redis_py.Redis] = {}


def redis() -> redis_py.Redis:
    """The client of this process. A fork makes its own, for two processes can't share a socket."""
    key = (os.getpid(), conf.current().redis)
    if key not in _clients:
        _clients[key] = redis_py.Redis.from_url(key[1], socket_timeout=3, socket_connect_timeout=2)
    return _clients[key]


def hangs() -> bool:
    """Redis did not answer in time a moment ago: don't ask it again now."""
    return time.monotonic() < _left_alone_until


def note(error: redis_py.RedisError) -> None:
    """What came of asking Redis. One that refuses costs no time, one that hangs does."""
    global _left_alone_until
    if isinstance(error, redis_py.TimeoutError):
        _left_alone_until = time.monotonic() + _LEFT_ALONE


def publish(kind: str, **data: Any) -> None:
    """Tell every dashboard that something changed, once the current transaction is committed."""
    transaction.on_commit(lambda: _send(kind, data), robust=True)


def deliveries_changed() -> None:
    """The same for mail that came in: once for all that is committed within a moment."""
    transaction.on_commit(_deliveries.tell, robust=True)


def _send(kind: str, data: dict[str, Any]) -> None:
    if hangs():
        return
    try:
        redis().publish(CHANNEL, json.dumps({"kind": kind, **data}))
    except redis_py.RedisError as error:
        note(error)
        log.debug("event %s was not sent: %s", kind, error)


_deliveries = Hint(partial(_send, "deliveries", {}), every=0.1)  # who looks, looks once a second
