"""`blocklists [check] [--json]`: our addresses and domains on blocklists, as last seen or looked up now."""

from __future__ import annotations

import json
import time
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from queueapp.access import blocklists as access
from queueapp.access.change import AccessError
from queueapp.management.access_command import actor, shown_time
from queueapp.management.base import Command as Base
from queueapp.management.base import Failed
from queueapp.management.columns import columns
from queueapp.models import Listing
from queueapp.watch.blocklists import run
from queueapp.watch.blocklists.lists import chosen

_HEADINGS = ("target", "list", "state", "since", "what")
_AT_MOST = 300.0
_FIELDS = (
    "target", "kind", "list_name", "state", "is_confirmed", "since", "severity", "codes", "meaning", "reason",
    "error", "checked_at", "next_check_at", "n_named", "named_at", "named_reply", "named_by",
)  # fmt: skip


class Command(Base):
    help = "Show what blocklists say of our addresses and domains, or ask them now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verb", nargs="?", choices=["list", "check"], default="list", metavar="check")
        parser.add_argument("--json", action="store_true", help="all fields, one JSON object a line")
        parser.add_argument("--all", action="store_true", help="clean ones, too")

    def run(self, **options: Any) -> int | None:
        if options["verb"] == "check":
            self._check()
        if not chosen().lists:
            self.stderr.write("No blocklist is asked: set MAILWEIR_BLOCKLISTS=yes, or names of lists.")
        now = timezone.now()
        listings = Listing.objects.current().order_by("target", "list_name")
        if options["json"]:
            for row in listings.values(*_FIELDS).iterator():
                self.stdout.write(json.dumps(row, default=str))
            return None
        shown = [row for row in listings if options["all"] or row.state != "clean" or row.is_named(now)]
        if shown:
            self.stdout.write(columns(_HEADINGS, [_line(row, row.is_named(now)) for row in shown]))
        self.stderr.write(f"{len(listings)} pairs, {len(listings) - len(shown)} of them clean and not shown.")
        return None

    def _check(self) -> None:
        """Here and now, so that it works where no watch runs; throttled as everywhere."""
        run.arrange()
        try:
            access.check(actor())
        except AccessError as error:
            raise Failed(str(error)) from None
        end = time.monotonic() + _AT_MOST
        while (
            Listing.objects.filter(asked_at__isnull=False, is_current=True).exists()
            and time.monotonic() < end
        ):
            if not run.batch(timezone.now()):
                time.sleep(0.5)  # the watch has claimed what is left


def _line(row: Listing, is_named: bool) -> tuple[str, ...]:
    state = row.state if row.is_confirmed or row.state != "listed" else "listed?"
    what = row.meaning or row.error
    if is_named:
        what = f"named by {row.named_by}: {row.named_reply}" + (f" ({what})" if what else "")
    return row.target, row.list_name, state, shown_time(row.since), what
