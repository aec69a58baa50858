"""`prune`: remove finished deliveries past their retention, and old records."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from queueapp import conf
from queueapp.engine.prune import prune, prune_records
from queueapp.management.base import Command as Base
from queueapp.management.base import WrongUsage
from queueapp.workers.schedule import prune_sessions

_MOST = 10_000


class Command(Base):
    help = "Remove finished deliveries older than MAILWEIR_RETENTION, in small batches; safe at any time."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=500, help="rows a transaction (default 500)")
        parser.add_argument("--json", action="store_true")

    def run(self, **options: Any) -> int | None:
        now = timezone.now()
        batch = options["batch"]
        if not 1 <= batch <= _MOST:
            raise WrongUsage(f"--batch {batch} is not allowed: from 1 to {_MOST}.")
        removed = Counter({"deliveries": _deliveries(now, batch)})
        while n := Counter(prune_records(now, batch)):
            removed.update(n)
            if not any(n.values()):
                break
        prune_sessions()
        if options["json"]:
            self.stdout.write(json.dumps(removed))
        else:
            told = ", ".join(f"{n} {what}" for what, n in removed.items() if n)
            self.stdout.write(f"Removed {told}." if told else "Nothing is past its retention.")
        return None


def _deliveries(now: datetime, batch: int) -> int:
    """Until nothing is left; what finishes meanwhile is not old enough."""
    total = 0
    while n := prune(now - conf.current().retention, batch):
        total += n
    return total
