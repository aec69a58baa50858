"""`apikey` and `smtplogin` take the same verbs: create NAME, list, set NAME, revoke NAME."""

from __future__ import annotations

import getpass
import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from queueapp.access import senders
from queueapp.access.change import COMMAND, AccessError, Actor, Missing
from queueapp.management.base import Command, Failed, WrongUsage
from queueapp.management.columns import columns
from queueapp.models import ApiKey, SmtpLogin


def actor() -> Actor:
    """Who runs the command: whoever may run it may do everything, and is named in the audit."""
    try:
        return replace(COMMAND, name=f"command:{getpass.getuser()}"[:150])
    except (KeyError, OSError):
        return COMMAND


def shown_time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else "-"


class AccessCommand(Command):
    """Subclasses say what a row is: `create`, `revoke`, `rows`."""

    noun = ""
    model: type[ApiKey | SmtpLogin]
    headings: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="create|list|set|revoke")
        create = verbs.add_parser("create", help=f"make {self.noun}; its secret is printed once")
        create.add_argument("name")
        self.add_create_arguments(create)
        listing = verbs.add_parser("list", help="show all, without secrets")
        listing.add_argument("--json", action="store_true", help="all fields, one JSON object a line")
        change = verbs.add_parser("set", help="whom to tell when it is stopped, and how much is no flood")
        change.add_argument("name")
        change.add_argument("--owner", metavar="ADDRESS", help="whom to tell; empty: who made it")
        change.add_argument("--allowance", metavar="N", help="mails an hour; none: as is usual for it")
        revoke = verbs.add_parser("revoke", help="refuse it from now on")
        revoke.add_argument("name")

    def add_create_arguments(self, parser: CommandParser) -> None:
        """More options of `create`, where there are any."""

    def create(self, name: str, **options: Any) -> str:
        """Make the row; answer the secret."""
        raise NotImplementedError

    def revoke(self, name: str) -> None:
        raise NotImplementedError

    def rows(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    def run(self, **options: Any) -> int | None:
        verb = options["verb"]
        if verb == "list":
            self._list(as_json=options["json"])
            return None
        try:
            if verb == "set":
                self.stdout.write(self._set(**options))
            elif verb == "revoke":
                self.revoke(options["name"])
                self.stdout.write(f"Revoked {options['name']}.")
            else:
                # The secret alone on stdout, so that KEY=$(manage.py apikey create …) works.
                self.stdout.write(self.create(**options))
                self.stderr.write("Keep it now: it is not shown again.")
        except AccessError as error:
            has_failed = verb == "revoke" or isinstance(error, Missing) or "is or was" in str(error)
            raise (Failed if has_failed else WrongUsage)(str(error)) from None
        return None

    def _set(self, name: str, owner: str | None, allowance: str | None, **_: Any) -> str:
        changes: dict[str, Any] = {} if owner is None else {"owner": owner}
        if allowance is not None:
            changes["allowance"] = None if allowance == "none" else whole(allowance)
        row = senders.change(actor(), self.model, name, changes)
        told = "as is usual for it" if row.allowance is None else f"{row.allowance:,} mails an hour"
        return f"{name}: owner {row.owner or 'who made it'}, may send {told}."

    def _list(self, *, as_json: bool) -> None:
        found = self.rows()
        if as_json:
            for row in found:
                self.stdout.write(json.dumps(row, default=str))
        elif not found:
            self.stdout.write(f"There are none. Make {self.noun} with: create NAME")
        else:
            cells = [[_shown(row[heading]) for heading in self.headings] for row in found]
            self.stdout.write(columns(self.headings, cells))


def whole(text: str) -> int | str:
    """A number where it is one; the action says what is wrong with anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return value if isinstance(value, str) else shown_time(value)
