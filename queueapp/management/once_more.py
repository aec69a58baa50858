"""`queue again` and `queue copy`: one mail once more, to its address or to the sandbox, from a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from queueapp.access.change import AccessError, Wrong
from queueapp.management.access_command import actor
from queueapp.management.base import Failed, WrongUsage
from queueapp.operations import again, copies

VERBS = {
    "again": "send a delivery that is over once more, as a new one",
    "copy": "copy a mail to the sandbox, as its receiver would get it",
}


def add_arguments(parser: CommandParser, verb: str) -> None:
    if verb == "again":
        parser.add_argument("id", type=int, metavar="DELIVERY", help="its number, as `queue list` shows it")
        parser.add_argument(
            "--to", metavar="ADDRESS", default="", help="to this address, which is the right one"
        )
        parser.add_argument("--reason", required=True, help="for the audit")
    else:
        parser.add_argument(
            "id", type=int, metavar="MESSAGE", help="its number, as `queue list --json` tells it"
        )
    parser.add_argument("--json", action="store_true", help="for programs: the result as one object")


def act(options: dict[str, Any], out: Callable[[str], object]) -> int:
    try:
        told, text = _again(options) if options["verb"] == "again" else _copy(options)
    except Wrong as wrong:
        raise WrongUsage(f"{wrong.field}: {wrong}") from None
    except AccessError as error:
        raise Failed(str(error)) from None
    out(json.dumps(told) if options["json"] else text)
    return 0


def _again(options: dict[str, Any]) -> tuple[dict[str, Any], str]:
    if options["to"]:
        made = again.readdress(actor(), options["id"], options["to"], options["reason"])
    else:
        made = again.send_again(actor(), options["id"], options["reason"])
    told = {"id": made.pk, "message_id": made.message_id, "to": made.recipient, "state": made.state}
    return told, f"Delivery {made.pk} goes to {made.recipient}."


def _copy(options: dict[str, Any]) -> tuple[dict[str, Any], str]:
    number = copies.copy_to_sandbox(actor(), options["id"])
    return {"sandbox_id": number}, f"The sandbox keeps the copy as {number}."
