"""Puts one message to many recipients into our queue by one call: `python -m bench.fill_one N DOMAINS`.

In a system's environment. Prints JSON: seconds of the call, processor seconds of this process in it,
and the most memory that it had resident. The gate is the ordinary one; MAILWEIR_MAX_RECIPIENTS is what
limits it (100,000 is the most that the setting takes).
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

from bench.mails import SENDER, Mails


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    import django

    django.setup()
    from django.db import connection

    from queueapp.ingest.accept import accept
    from queueapp.ingest.submission import Submission

    mails = Mails(int(arguments[0]), int(arguments[1]))
    recipients = tuple(mails.recipient(number) for number in range(mails.n))
    connection.ensure_connection()
    began, cpu = time.monotonic(), time.process_time()
    accepted = accept(Submission(SENDER, recipients, mails.content(0), source="api"))
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    assert len(accepted.deliveries) == mails.n
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
