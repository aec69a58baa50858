"""Live events for the open dashboards, sent after the commit that made them true.

Promises: `publish` never raises and never waits long; an event that is lost is harmless,
because the aggregator reads the database anyway. Redis being away costs liveliness, not mail.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any

import redis as redis_py
from django.db import transaction

from queueapp import conf

CHANNEL = "mailweir:events"
log = logging.getLogger(__name__)
_clients: dict[tuple[int, str], redis_py.Redis] = {}


def redis() -> redis_py.Redis:
    """The client of this process. A fork makes its own, for two processes can't share a socket."""
    key = (os.getpid(), conf.current().redis)
    if key not in _clients:
        _clients[key] = redis_py.Redis.from_url(key[1], socket_timeout=3, socket_connect_timeout=2)
    return _clients[key]


def publish(kind: str, **data: Any) -> None:
    """Tell every dashboard that something changed, once the current transaction is committed."""
    transaction.on_commit(lambda: _send(kind, data), robust=True)


def _send(kind: str, data: dict[str, Any]) -> None:
    try:
        redis().publish(CHANNEL, json.dumps({"kind": kind, **data}))
    except redis_py.RedisError as error:
        log.debug("event %s was not sent: %s", kind, error)
