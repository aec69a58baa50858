from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from asgiref.sync import sync_to_async
from django.db import connections


@pytest.fixture(autouse=True)
def _forget() -> None:
    """What this process remembers of rows that another test rolled back."""
    from dashboard.api import keys
    from queueapp.engine import domains

    keys.forget()
    domains.forget()


@pytest.fixture
def committing() -> Iterator[None]:
    """Threads with connections of their own: the gate's writer, and the one that looks keys up. Closed
    with the test."""
    yield
    from queueapp.ingest import accept

    asyncio.run(sync_to_async(connections.close_all)())
    while accept._writers:
        accept._writers.popitem()[1].close()
