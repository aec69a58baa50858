"""Loads our queue through its gate: `python -m bench.fill N DOMAINS SIZE PREFIX`, in a system's environment.

The asynchronous gate shares commits, so this is the quickest way in that a server has, without a
network between. Not measured: it only makes a loaded queue.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator

from bench.mails import SENDER, Mails

_AT_ONCE = 400


async def fill(mails: Mails) -> None:
    """Returns when all are committed."""
    from queueapp.ingest.accept import accept_async
    from queueapp.ingest.submission import Submission

    async def some(numbers: Iterator[int]) -> None:
        for number in numbers:
            content, to = mails.content(number), mails.recipient(number)
            await accept_async(Submission(SENDER, (to,), content, source="smtp", client="127.0.0.1"))

    await asyncio.gather(*(some(mails.share(part, _AT_ONCE)) for part in range(_AT_ONCE)))


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    import django

    django.setup()
    asyncio.run(fill(Mails.from_arguments(arguments)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
