"""What engine tests share: mail in the queue, a real sandbox beside, a runner run to its end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.utils import timezone

from queueapp import conf
from queueapp.conf import Address
from queueapp.engine import lease, outcome
from queueapp.engine.claim import Claimed, claim
from queueapp.engine.counters import recount
from queueapp.engine.outcome import Result
from queueapp.engine.runner import QueueRunner
from queueapp.ingest.accept import accept
from queueapp.ingest.submission import Submission
from queueapp.models import Delivery, RecipientDomain
from queueapp.sandbox.archive import Archive
from queueapp.sandbox.run import open_store, serve
from queueapp.sandbox.server import SandboxOptions
from queueapp.transports.base import Outcome

CONTENT = b"From: ann@example.com\r\nSubject: x\r\nMessage-ID: <%s@example.com>\r\n\r\nx\r\n"
DELIVERED = Outcome("delivered", "delivered", 250, "2.0.0", "Ok", host="mx.example.net", stage="dot")
DEFERRED = Outcome("deferred", "busy", 451, "4.3.0", "later", host="mx.example.net", stage="rcpt")
NO_USER = Outcome("bounced", "no_such_user", 550, "5.1.1", "no such user", stage="rcpt")


def put(*recipients: str, name: str = "1", **values: Any) -> list[int]:
    """Accept one message; ids of its deliveries."""
    basis: dict[str, Any] = {
        "content": CONTENT % name.encode(),
        "source": "smtp",
        "sender": "ann@example.com",
    }
    return [pk for pk, _, _ in accept(Submission(recipients=recipients, **basis | values)).deliveries]


def claimed(n: int = 100, runner: int | None = None) -> tuple[int, list[Claimed]]:
    runner = runner or lease.begin("runner-0")
    return runner, claim(runner, n)


def record(
    runner: int, rows: list[Claimed], what: Outcome, at: datetime | None = None, **values: Any
) -> list[bool]:
    return outcome.record(runner, [Result(row, what, at or timezone.now(), **values) for row in rows])


def states() -> dict[str, str]:
    return dict(Delivery.objects.order_by("id").values_list("recipient", "state"))


def n_wrong_counters() -> int:
    return recount(list(RecipientDomain.objects.values_list("id", flat=True)))


@contextlib.contextmanager
def sandbox(home: Path, **options: Any) -> Iterator[Archive]:
    """A real sandbox, and settings that lead all mail to it."""
    ready, stop = threading.Event(), asyncio.Event()
    where: list[tuple[str, int]] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())

        def is_up(address: tuple[str, int]) -> None:
            where.append(address)
            ready.set()

        await serve(("127.0.0.1", 0), open_store(home), SandboxOptions(**options), is_up, stop)

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        with conf.override(sandbox=Address(*where[0][:2]), home=home):
            yield Archive.in_home(home)
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()


def run_once(**values: Any) -> QueueRunner:
    """A runner's whole life: until nothing was due for a moment."""
    runner = QueueRunner("runner-0", **{"lifetime": 20.0, "linger": 0.2} | values)
    runner.run()
    return runner
