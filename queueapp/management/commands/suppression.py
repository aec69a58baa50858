"""`suppression list|add|lift`: addresses that must not be written to, and why."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from queueapp.access import suppressions
from queueapp.access.change import AccessError
from queueapp.management.access_command import actor
from queueapp.management.base import Command as Base
from queueapp.management.base import Failed
from queueapp.management.columns import columns
from queueapp.models import Suppression

_HEADINGS = ("address", "class", "since", "reason", "evidence")
_DEFAULT_REASON = "suppressed by an administrator"


class Command(Base):
    help = "List the addresses that must not be written to, add one, or lift one."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="list|add|lift")
        listing = actions.add_parser("list", help="those that are suppressed, newest first")
        listing.add_argument("part", nargs="?", default="", help="only addresses that hold this text")
        listing.add_argument("--limit", type=int, default=1000, help="at most so many (default 1000)")
        listing.add_argument("--json", action="store_true", help="one JSON object a line")
        adding = actions.add_parser("add", help="refuse mail to this address from now on")
        adding.add_argument("address")
        adding.add_argument("--reason", default=_DEFAULT_REASON, help="shown wherever the address is")
        lifting = actions.add_parser("lift", help="take mail to this address again")
        lifting.add_argument("address")

    def run(self, **options: Any) -> int | None:
        try:
            if options["action"] == "add":
                suppressions.suppress(options["address"], options["reason"], actor=actor())
            elif options["action"] == "lift":
                suppressions.lift(options["address"], actor=actor())
            else:
                self._list(options)
        except AccessError as error:
            raise Failed(str(error)) from None
        return None

    def _list(self, options: dict[str, Any]) -> None:
        rows = Suppression.objects.order_by("-id")
        if options["part"]:
            rows = rows.filter(address__contains=options["part"].lower())
        found = [
            (row.address, row.reply_class, row.created_at, row.reason, row.evidence)
            for row in rows[: max(options["limit"], 0)]
        ]
        if options["json"]:
            for each in found:
                self.stdout.write(json.dumps(dict(zip(_HEADINGS, each, strict=True)), default=str))
        elif found:
            shown = [(each[0], each[1], f"{each[2]:%F %R}", *each[3:]) for each in found]
            self.stdout.write(columns(_HEADINGS, shown))
        else:
            self.stderr.write("No address is suppressed." if not options["part"] else "None matches.")
