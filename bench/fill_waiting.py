"""Mail that waits, by the hundred thousand: `python -m bench.fill_waiting N DOMAINS SIZE PREFIX`.

In a system's environment. All rows that the gate would have written, by the engine's own `enqueue`, but none
of its checks, and thousands in a commit: several times as quick as bench/fill.py. Ends with the statistics
that autovacuum would make within minutes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from bench.mails import SENDER, Mails

_AT_ONCE = 2_000


def waiting(mails: Mails) -> Iterator[Any]:
    """Messages that were not stored yet, one recipient each."""
    from django.utils import timezone

    from queueapp.engine.enqueue import NewDelivery, NewMessage
    from queueapp.models import Message

    sender_domain = SENDER.rpartition("@")[2]
    for number in range(mails.n):
        content, to = mails.content(number), mails.recipient(number)
        message = Message(
            accepted_at=timezone.now(),
            sender=SENDER,
            sender_domain=sender_domain,
            from_header=SENDER,
            subject=f"Mail {number}",
            message_id=f"{number}.{mails.prefix}@bench.test",
            size=len(content),
            n_recipients=1,
            source="smtp",
            client="127.0.0.1",
        )
        yield NewMessage(message, content, [NewDelivery(to, to.rpartition("@")[2])])


def fill(mails: Mails) -> None:
    from django.db import connection

    from queueapp.engine.enqueue import enqueue, number

    rows = waiting(mails)
    while batch := list(islice(rows, _AT_ONCE)):
        number(batch)
        enqueue(batch)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "PRAGMA optimize")


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    import django

    django.setup()
    fill(Mails.from_arguments(arguments))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
