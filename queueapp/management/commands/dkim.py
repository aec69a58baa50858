"""`dkim create|list|show|activate|rotate|retire`: keys of sender domains, and the records to publish."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandParser

from queueapp.access import dkim
from queueapp.access.change import AccessError
from queueapp.management.access_command import actor, shown_time
from queueapp.management.base import Command as Base
from queueapp.management.base import Failed, WrongUsage
from queueapp.management.columns import columns
from queueapp.models import DkimKey, KeyState

_HEADINGS = ("domain", "selector", "algorithm", "state", "created_at", "activated_at", "retired_at")
_TIMES = _HEADINGS[4:]
# How long a receiver may still look at mail that was signed before: the maximum age and some days.
_KEEP_DAYS = 7


class Command(Base):
    help = "Make, list, activate, rotate and retire the DKIM keys of sender domains."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(
            dest="verb", required=True, metavar="create|list|show|activate|rotate|retire"
        )
        create = verbs.add_parser("create", help="make a key, and print the record to publish")
        _add_making(create)
        create.add_argument(
            "--type", choices=list(dkim.TYPES), default="rsa", dest="kind", help="rsa, ed25519 or both"
        )
        listing = verbs.add_parser("list", help="all keys, without secrets")
        listing.add_argument("--json", action="store_true", help="all fields, one JSON object a line")
        show = verbs.add_parser("show", help="the records of a domain's keys")
        show.add_argument("domain")
        activate = verbs.add_parser("activate", help="sign by a pending key from now on")
        activate.add_argument("domain")
        activate.add_argument("selector", nargs="?", default="", help="default: all pending ones")
        activate.add_argument("--unchecked", action="store_true", help="without a look at the DNS record")
        rotate = verbs.add_parser("rotate", help="make a successor of each active key")
        _add_making(rotate)
        retire = verbs.add_parser("retire", help="sign by a key no more, and erase it")
        retire.add_argument("domain")
        retire.add_argument("selector")

    def run(self, **options: Any) -> int | None:
        try:
            getattr(self, f"_{options['verb']}")(options)
        except AccessError as error:
            raise (WrongUsage if "is no " in str(error) else Failed)(str(error)) from None
        return None

    def _create(self, options: dict[str, Any]) -> None:
        rows = dkim.create(
            options["domain"],
            kind=options["kind"],
            selector=options["selector"],
            bits=options["bits"],
            is_active=options["activate"],
            actor=actor(),
        )
        self._tell_made(rows)

    def _rotate(self, options: dict[str, Any]) -> None:
        rows = dkim.rotate(
            options["domain"],
            selector=options["selector"],
            bits=options["bits"],
            is_active=options["activate"],
            actor=actor(),
        )
        self._tell_made(rows)

    def _tell_made(self, rows: Sequence[DkimKey]) -> None:
        """The records alone on stdout, fit for a zone file; what to do with them on stderr."""
        self._records(rows)
        domain = rows[0].domain
        if rows[0].state == KeyState.ACTIVE:
            self.stderr.write(
                "Active: mail is signed within seconds. Until the record is published, receivers find no key."
            )
        else:
            self.stderr.write(f"Pending. Publish that, then: manage.py dkim activate {domain}")

    def _show(self, options: dict[str, Any]) -> None:
        rows = list(DkimKey.objects.filter(domain=dkim.domain_of(options["domain"])).order_by("id"))
        if not rows:
            raise Failed(f"{options['domain'][:80]} has no key. Make one with: create DOMAIN")
        self._records([row for row in rows if row.state != KeyState.RETIRED])
        for row in rows:
            self.stderr.write(f"{row.selector}: {row.algorithm}, {row.state}{_advice(row)}")

    def _records(self, rows: Sequence[DkimKey]) -> None:
        for row in rows:
            strings = " ".join(f'"{each}"' for each in row.record)
            self.stdout.write(f"{row.record_name}. IN TXT ( {strings} )")

    def _list(self, options: dict[str, Any]) -> None:
        rows = list(DkimKey.objects.order_by("domain", "id").values(*_HEADINGS))
        if options["json"]:
            for row in rows:
                self.stdout.write(json.dumps(row, default=str))
        elif not rows:
            self.stdout.write("There are none. Make one with: create DOMAIN")
        else:
            cells = [
                [shown_time(row[each]) if each in _TIMES else row[each] for each in _HEADINGS] for row in rows
            ]
            self.stdout.write(columns(_HEADINGS, cells))

    def _activate(self, options: dict[str, Any]) -> None:
        rows = dkim.activate(
            options["domain"], options["selector"], is_checked=not options["unchecked"], actor=actor()
        )
        for row in rows:
            self.stdout.write(f"Active: {row}.")
        for old in DkimKey.objects.filter(domain=rows[0].domain, retired_at=rows[0].activated_at):
            self.stdout.write(f"Retired: {old}{_advice(old)}")

    def _retire(self, options: dict[str, Any]) -> None:
        row = dkim.retire(options["domain"], options["selector"], actor=actor())
        self.stdout.write(f"Retired: {row}{_advice(row)}")
        if not DkimKey.objects.active().filter(domain=row.domain).exists():
            self.stderr.write(f"No key of {row.domain} is active: its mail leaves without a signature.")


def _add_making(parser: CommandParser) -> None:
    parser.add_argument("domain")
    parser.add_argument("--selector", default="", help="default: made from the date")
    parser.add_argument("--bits", type=int, default=2048, help="of RSA: 2048 to 4096 (default 2048)")
    parser.add_argument("--activate", action="store_true", help="sign by it at once, before it is published")


def _advice(row: DkimKey) -> str:
    if row.state == KeyState.RETIRED:
        return f"; remove its record {_KEEP_DAYS} days after {shown_time(row.retired_at)}"
    if row.state == KeyState.PENDING:
        return f"; publish its record, then: manage.py dkim activate {row.domain} {row.selector}"
    return ""
